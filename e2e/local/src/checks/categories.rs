//! The kinds of tests by the words that people know them by: which phases a word means, and what of them. Touches no network.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use clap::ValueEnum;
use clap::builder::PossibleValue;

use super::phase::Phase;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Category {
    /// Category: plans, cores, rules and texts, each by itself
    Unit,
    /// Category: one hop at a time between its real neighbours, and the real API server
    Integration,
    /// Category: what goes wrong is said, by status, events, metrics, logs, alarms and pages
    Monitoring,
    /// Category: figures in short sizes, each beside its goal; in no other run
    Performance,
    /// Category: who may do what, what is refused, and where secrets stand
    Security,
    /// Category: whole ways from HTTP to the warehouse
    EndToEnd,
    /// Category: what counts as an event, what becomes of it, and that nobody's sums differ
    DataValidation,
    /// Category: what dies, hangs or is taken away loses nothing and comes back
    Resilience,
}

/// Test programs, by their package's folder with or without their target, cases or stories; nothing named is all.
pub type Names = BTreeSet<&'static str>;

/// What is run: phases in their order, and what of each.
pub type Picks = BTreeMap<Phase, Names>;

type Part = (Phase, &'static [&'static str]);

const ALL: &[&str] = &[];

impl Category {
    /// The table: one line for each phase that a category takes something of.
    const fn parts(self) -> &'static [Part] {
        match self {
            Self::Unit => &[(Phase::Unit, ALL)],
            Self::Integration => &[(Phase::Api, ALL), (Phase::Worker, ALL)],
            Self::Monitoring => &[
                (
                    Phase::Unit,
                    &["crds alarms", "crds runbooks", "kit", "operator", "plan golden"],
                ),
                (Phase::Terraform, ALL),
                (Phase::Api, &["installed", "shown"]),
                (Phase::Story, &["faults"]),
            ],
            Self::Performance => &[(Phase::Performance, ALL)],
            Self::Security => &[
                (Phase::Licences, ALL),
                (Phase::Boundaries, ALL),
                (
                    Phase::Unit,
                    &["crds rules", "gateway http", "kafka", "operator rights", "policies"],
                ),
                (Phase::Charts, ALL),
                (Phase::Terraform, ALL),
                (Phase::Api, &["refused", "foreign", "rights", "pods"]),
                (
                    Phase::Worker,
                    &[
                        "dbt-runner stack_dbt_runner",
                        "gateway stack_gateway",
                        "kafka stack_kafka",
                        "redshift-stand-in stack_identities",
                    ],
                ),
                (Phase::Story, &["duplicates"]),
            ],
            Self::EndToEnd => &[(Phase::Story, ALL)],
            Self::DataValidation => &[
                (
                    Phase::Unit,
                    &[
                        "contract",
                        "dbt-runner plan",
                        "dbt-runner shop_contract",
                        "dbt-runner touched",
                    ],
                ),
                (
                    Phase::Worker,
                    &[
                        "cataloger stack_cataloger",
                        "dbt-runner stack_dbt_runner",
                        "lake stack_referees",
                        "loader stack_loader",
                    ],
                ),
                (Phase::Story, &["purchases", "duplicates", "late", "contract"]),
            ],
            Self::Resilience => &[
                (
                    Phase::Unit,
                    &[
                        "consumer pipeline",
                        "exporter bronze",
                        "exporter simulated",
                        "lake table",
                        "plan lives",
                    ],
                ),
                (
                    Phase::Worker,
                    &[
                        "consumer stack_consumer",
                        "exporter stack_exporter",
                        "loader stack_loader",
                        "redshift-stand-in stack_faults",
                    ],
                ),
                (Phase::Story, &["faults", "life", "kills"]),
            ],
        }
    }
}

/// What `test` is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    Category(Category),
    Phase(Phase),
}

/// Two phases are called like the category that they are.
static WORDS: LazyLock<Vec<Word>> = LazyLock::new(|| {
    let categories = Category::value_variants();
    let is_category = |phase: &Phase| Category::from_str(&phase.name(), false).is_ok();
    let phases = Phase::value_variants().iter().filter(|phase| !is_category(phase));
    let phases = phases.map(|phase| Word::Phase(*phase));
    phases
        .chain(categories.iter().map(|category| Word::Category(*category)))
        .collect()
});

impl ValueEnum for Word {
    fn value_variants<'a>() -> &'a [Self] {
        &WORDS
    }

    fn to_possible_value(&self) -> Option<PossibleValue> {
        match self {
            Self::Category(category) => category.to_possible_value(),
            Self::Phase(phase) => phase.to_possible_value(),
        }
    }
}

impl Word {
    fn parts(self) -> Vec<Part> {
        match self {
            Self::Category(category) => category.parts().to_vec(),
            Self::Phase(phase) => vec![(phase, ALL)],
        }
    }
}

/// What these words mean together, each thing once; without words, every phase that is in every run.
pub fn picks(words: &[Word]) -> Picks {
    if words.is_empty() {
        let phases = Phase::value_variants().iter().filter(|phase| phase.is_in_every_run());
        return phases.map(|phase| (*phase, Names::new())).collect();
    }
    let mut picks = Picks::new();
    for (phase, names) in words.iter().flat_map(|word| word.parts()) {
        match picks.entry(phase) {
            Entry::Vacant(free) => {
                free.insert(names.iter().copied().collect());
            }
            Entry::Occupied(mut taken) if names.is_empty() || taken.get().is_empty() => taken.get_mut().clear(),
            Entry::Occupied(mut taken) => taken.get_mut().extend(names.iter().copied()),
        }
    }
    picks
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    const STORIES: &str = include_str!("../../../stories/src/tests/mod.rs");
    const CASES: &str = include_str!("../../../stories/src/tests/api.rs");

    fn is_there(phase: Phase, name: &str) -> bool {
        let quoted = format!("\"{name}\"");
        match phase {
            Phase::Story => STORIES.contains(&quoted),
            Phase::Api => CASES.contains(&quoted),
            Phase::Unit | Phase::Worker => program(name),
            _ => false,
        }
    }

    /// Whether a folder of the workspace has tests, or the target of the name.
    fn program(name: &str) -> bool {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let (folder, target) = name
            .split_once(' ')
            .map_or((name, None), |(folder, target)| (folder, Some(target)));
        ["", "operator", "workers", "e2e"].iter().any(|parent| {
            let package: PathBuf = root.join(parent).join(folder);
            let tests = package.join("tests");
            package.join("Cargo.toml").exists()
                && target.is_none_or(|target| {
                    tests.join(format!("{target}.rs")).exists() || tests.join(target).join("main.rs").exists()
                })
        })
    }

    #[test]
    fn the_eight_words_are_known_and_none_of_them_is_empty() {
        let words = [
            "unit",
            "integration",
            "monitoring",
            "performance",
            "security",
            "end-to-end",
            "data-validation",
            "resilience",
        ];
        for word in words {
            let known = Word::from_str(word, false).unwrap();
            assert!(matches!(known, Word::Category(_)), "{word}");
            assert!(!picks(&[known]).is_empty(), "{word}");
        }
        assert_eq!(Category::value_variants().len(), words.len());
        assert_eq!(Word::from_str("api", false), Ok(Word::Phase(Phase::Api)));
    }

    #[test]
    fn what_a_category_names_is_there() {
        for category in Category::value_variants() {
            for (phase, names) in category.parts() {
                for name in *names {
                    assert!(is_there(*phase, name), "{category:?}: {phase:?} has no {name}");
                }
            }
        }
        assert!(!is_there(Phase::Worker, "gateway stack_nothing") && !is_there(Phase::Story, "nothing"));
    }

    #[test]
    fn every_phase_that_tests_something_is_in_a_category() {
        let looks_at_sources_alone = [Phase::Fmt, Phase::Circles, Phase::Clippy];
        for phase in Phase::value_variants() {
            let mut parts = Category::value_variants().iter().flat_map(|category| category.parts());
            let is_in_one = parts.any(|(part, _)| part == phase);
            assert_ne!(is_in_one, looks_at_sources_alone.contains(phase), "{phase:?}");
        }
    }

    #[test]
    fn words_together_mean_each_thing_once() {
        let both = picks(&[Word::Category(Category::Monitoring), Word::Category(Category::Security)]);
        assert_eq!(
            both[&Phase::Api],
            Names::from(["foreign", "installed", "pods", "refused", "rights", "shown"])
        );
        assert!(both[&Phase::Terraform].is_empty());
        for words in [
            [Word::Phase(Phase::Story), Word::Category(Category::Security)],
            [Word::Category(Category::Security), Word::Phase(Phase::Story)],
        ] {
            assert!(picks(&words)[&Phase::Story].is_empty(), "all of it is more than a part");
        }
    }

    #[test]
    fn no_word_means_everything_but_what_is_measured() {
        let all = picks(&[]);
        assert!(all.values().all(BTreeSet::is_empty));
        assert!(!all.contains_key(&Phase::Performance));
        assert_eq!(all.len() + 1, Phase::value_variants().len());
    }
}
