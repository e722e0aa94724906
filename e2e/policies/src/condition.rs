//! Conditions of statements, by the operators that our policies use; any other is an error. Touches no network.

use std::collections::BTreeMap;

use anyhow::{Result, bail, ensure};

use crate::pattern;

/// What is known of a request, by condition key. Keys differ not by their case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Context(BTreeMap<String, String>);

impl Context {
    /// Says that a key has a value, whatever was said before.
    pub fn set(&mut self, key: &str, value: impl Into<String>) {
        self.0.insert(key.to_lowercase(), value.into());
    }

    /// Says that the request has no such key.
    pub fn forget(&mut self, key: &str) {
        self.0.remove(&key.to_lowercase());
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(&key.to_lowercase()).map(String::as_str)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    StringEquals,
    StringNotEquals,
    StringLike,
    /// `ArnEquals` does the same.
    ArnLike,
    Bool,
    Null,
    NumericLessThan,
}

/// One key of one operator: it holds for any of its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    operator: Operator,
    key: String,
    values: Vec<String>,
}

impl Condition {
    /// As it stands in a policy.
    pub fn new(operator: &str, key: &str, values: Vec<String>) -> Result<Self> {
        let operator = match operator {
            "StringEquals" => Operator::StringEquals,
            "StringNotEquals" => Operator::StringNotEquals,
            "StringLike" => Operator::StringLike,
            "ArnLike" | "ArnEquals" => Operator::ArnLike,
            "Bool" => Operator::Bool,
            "Null" => Operator::Null,
            "NumericLessThan" => Operator::NumericLessThan,
            other => bail!("the evaluator does not know the operator {other}"),
        };
        ensure!(!values.is_empty(), "{key} is compared with nothing");
        let is_plain = |value: &String| match operator {
            Operator::Bool | Operator::Null => matches!(value.as_str(), "true" | "false"),
            Operator::NumericLessThan => value.parse::<f64>().is_ok(),
            _ => true,
        };
        ensure!(values.iter().all(is_plain), "{key} is compared with {values:?}");
        Ok(Self {
            operator,
            key: key.to_owned(),
            values,
        })
    }

    /// A key that the request does not have satisfies `Null` and what is negated, and nothing else.
    pub fn holds(&self, context: &Context) -> bool {
        let found = context.get(&self.key);
        let is_any = |fits: &dyn Fn(&str, &str) -> bool| {
            found.is_some_and(|found| self.values.iter().any(|value| fits(value, found)))
        };
        match self.operator {
            Operator::StringEquals => is_any(&|value, found| value == found),
            Operator::StringNotEquals => !is_any(&|value, found| value == found),
            Operator::StringLike => is_any(&pattern::matches),
            Operator::ArnLike => is_any(&pattern::matches_arn),
            Operator::Bool => is_any(&|value, found| value.eq_ignore_ascii_case(found)),
            Operator::Null => self.values.iter().any(|value| (value == "true") == found.is_none()),
            Operator::NumericLessThan => is_any(&|value, found| is_less(found, value)),
        }
    }
}

fn is_less(found: &str, value: &str) -> bool {
    match (found.parse::<f64>(), value.parse::<f64>()) {
        (Ok(found), Ok(value)) => found < value,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, values: &[&str], found: Option<&str>) -> bool {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        let mut context = Context::default();
        if let Some(found) = found {
            context.set("S3:Key", found);
        }
        Condition::new(operator, "s3:key", values).unwrap().holds(&context)
    }

    #[test]
    fn each_operator_has_its_meaning_and_one_for_a_key_that_is_not_there() {
        for (operator, values, found, expected) in [
            ("StringEquals", &["a", "b"][..], Some("b"), true),
            ("StringEquals", &["a"], Some("A"), false),
            ("StringEquals", &["a"], None, false),
            ("StringNotEquals", &["a", "b"], Some("b"), false),
            ("StringNotEquals", &["a"], Some("c"), true),
            ("StringNotEquals", &["a"], None, true),
            ("StringLike", &["a*"], Some("abc"), true),
            ("StringLike", &["a*"], None, false),
            ("ArnLike", &["arn:aws:s3:::*"], Some("arn:aws:s3:::x"), true),
            ("ArnEquals", &["arn:aws:s3:::*"], Some("arn:aws:sns:::x"), false),
            ("Bool", &["false"], Some("false"), true),
            ("Bool", &["false"], Some("true"), false),
            ("Bool", &["false"], None, false),
            ("Null", &["true"], None, true),
            ("Null", &["true"], Some(""), false),
            ("Null", &["false"], Some("x"), true),
            ("Null", &["false"], None, false),
            ("NumericLessThan", &["1.2"], Some("1.1"), true),
            ("NumericLessThan", &["1.2"], Some("1.2"), false),
            ("NumericLessThan", &["1.2"], None, false),
        ] {
            assert_eq!(
                holds(operator, values, found),
                expected,
                "{operator} {values:?} {found:?}"
            );
        }
    }

    #[test]
    fn what_the_evaluator_does_not_know_is_no_condition() {
        for (operator, value) in [
            ("StringEqualsIfExists", "a"),
            ("ForAnyValue:StringLike", "a"),
            ("IpAddress", "10.0.0.0/8"),
            ("Bool", "yes"),
            ("Null", "1"),
            ("NumericLessThan", "few"),
        ] {
            assert!(
                Condition::new(operator, "key", vec![value.to_owned()]).is_err(),
                "{operator}"
            );
        }
        assert!(Condition::new("StringEquals", "key", Vec::new()).is_err());
    }
}
