//! The phases of `test`, what each of them needs and how long it may take. Touches no network.

use std::time::Duration;

use clap::ValueEnum;

/// In the order in which they run: what is quick and needs nothing comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub enum Phase {
    /// cargo fmt --check
    Fmt,
    /// Licences of all crates, and crates that must not be compiled
    Licences,
    /// Who may use whom
    Boundaries,
    /// Modules that import each other in a circle
    Circles,
    /// Clippy's lints, warnings are errors
    Clippy,
    /// Unit and golden tests
    Unit,
    /// helm lint, helm template, kubeconform, promtool
    Charts,
    /// Terraform's modules and environments, planned and applied against the real provider's schema
    Terraform,
    /// Schema, ownership and columns on the real API server
    Api,
    /// One hop at a time between its real neighbours
    Worker,
    /// What a user was promised, on the whole stack
    Story,
    /// The bench in short sizes, each figure beside its goal
    Performance,
}

impl Phase {
    pub fn name(self) -> String {
        format!("{self:?}").to_lowercase()
    }

    /// How long it may take from a clean clone on two cores.
    pub fn budget(self) -> Duration {
        Duration::from_secs(match self {
            Self::Fmt | Self::Circles => 15,
            Self::Licences | Self::Boundaries | Self::Api => 30,
            Self::Charts => 60,
            Self::Terraform => 180,
            // From a clean clone it compiles the dependencies, and the parts are built beside.
            Self::Clippy => 860,
            // Likewise the workspace's own crates and their tests.
            Self::Unit => 920,
            Self::Worker => 460,
            Self::Story => 1180,
            Self::Performance => 360,
        })
    }

    pub fn needs_stack(self) -> bool {
        self >= Self::Api
    }

    /// Figures want a machine that does nothing else.
    pub fn is_in_every_run(self) -> bool {
        self != Self::Performance
    }

    /// Whether what other phases left would be in the way: DynamoDB Local looks through all streams that it has ever had.
    pub fn wants_fresh_stack(self) -> bool {
        self >= Self::Story
    }

    /// Whether it wants more on the machine than the Rust that started us.
    pub fn needs_toolchains(self) -> bool {
        self >= Self::Charts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_a_stack_comes_last() {
        let phases = Phase::value_variants();
        assert!(phases.is_sorted());
        assert!(phases.iter().map(|phase| phase.needs_stack()).is_sorted());
    }
}
