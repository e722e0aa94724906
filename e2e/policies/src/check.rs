//! One check of the land and what it finds. Touches no network.

/// A check by its name; it has passed where nothing is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    pub wrong: Vec<String>,
}

impl Check {
    pub fn new(name: impl Into<String>, wrong: Vec<String>) -> Self {
        Self {
            name: name.into(),
            wrong,
        }
    }
}
