//! Who asks, and whom a statement names. Touches no network.

use anyhow::{Result, bail, ensure};
use serde_json::Value;

use crate::words::texts;

/// Who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// A role, by its ARN.
    Role(String),
    /// A service of AWS, by the name that policies have for it.
    Service(String),
}

impl Principal {
    /// The account of a role; services have none.
    pub fn account(&self) -> Option<&str> {
        match self {
            Self::Role(arn) => account(arn),
            Self::Service(_) => None,
        }
    }
}

/// The account of an ARN.
pub fn account(arn: &str) -> Option<&str> {
    arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// How a statement names somebody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// Itself, or everybody.
    Itself,
    /// Its account: whose own policies decide then.
    Account,
}

/// Whom a statement of a resource's policy is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Principals {
    everybody: bool,
    roles: Vec<String>,
    services: Vec<String>,
}

impl Principals {
    /// As it stands in a policy.
    pub fn new(value: &Value) -> Result<Self> {
        let mut principals = Self::default();
        let kinds = match value {
            Value::String(text) if text == "*" => {
                principals.everybody = true;
                return Ok(principals);
            }
            Value::Object(kinds) => kinds,
            other => bail!("nobody is called {other}"),
        };
        for (kind, names) in kinds {
            for name in texts(names)? {
                match kind.as_str() {
                    "AWS" if name == "*" => principals.everybody = true,
                    "AWS" => {
                        ensure!(!name.contains('*'), "{name}: patterns name nobody");
                        principals.roles.push(name);
                    }
                    "Service" => principals.services.push(name),
                    other => bail!("the evaluator does not know principals of kind {other}"),
                }
            }
        }
        Ok(principals)
    }

    /// Whether they are all that there are.
    pub fn is_everybody(&self) -> bool {
        self.everybody
    }

    /// Whether somebody is among them, and how.
    pub fn names(&self, principal: &Principal) -> Option<Named> {
        if self.everybody {
            return Some(Named::Itself);
        }
        match principal {
            Principal::Service(name) => self.services.contains(name).then_some(Named::Itself),
            Principal::Role(arn) if self.roles.contains(arn) => Some(Named::Itself),
            Principal::Role(arn) => {
                let own = account(arn)?;
                let is_account = |name: &String| name == own || (account(name) == Some(own) && name.ends_with(":root"));
                self.roles.iter().any(is_account).then_some(Named::Account)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const LOADER: &str = "arn:aws:iam::123456789012:role/loader";

    #[test]
    fn somebody_is_named_by_everybody_by_name_or_by_the_account() {
        let role = Principal::Role(LOADER.to_owned());
        let service = Principal::Service("sns.amazonaws.com".to_owned());
        for (value, of_role, of_service) in [
            (json!("*"), Some(Named::Itself), Some(Named::Itself)),
            (json!({"AWS": "*"}), Some(Named::Itself), Some(Named::Itself)),
            (json!({"AWS": [LOADER]}), Some(Named::Itself), None),
            (
                json!({"AWS": "arn:aws:iam::123456789012:root"}),
                Some(Named::Account),
                None,
            ),
            (json!({"AWS": "123456789012"}), Some(Named::Account), None),
            (json!({"AWS": "arn:aws:iam::999999999999:root"}), None, None),
            (json!({"Service": ["sns.amazonaws.com"]}), None, Some(Named::Itself)),
        ] {
            let principals = Principals::new(&value).unwrap();
            assert_eq!(principals.names(&role), of_role, "{value}");
            assert_eq!(principals.names(&service), of_service, "{value}");
        }
    }

    #[test]
    fn patterns_and_unknown_kinds_are_refused() {
        for value in [
            json!({"AWS": "arn:aws:iam::1:role/*"}),
            json!({"CanonicalUser": "x"}),
            json!("x"),
            json!([1]),
        ] {
            assert!(Principals::new(&value).is_err(), "{value}");
        }
    }
}
