//! A policy as it is read from its JSON; what the evaluator does not know is an error, never overlooked. Touches no network.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use serde::Deserialize;
use serde_json::Value;

use crate::condition::{Condition, Context};
use crate::pattern;
use crate::principal::Principals;
use crate::words::texts;

/// Where a policy stands, which says what its statements must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Of a role: what it may do, to what.
    Identity,
    /// Of a bucket, a key or a topic: who may do what to it.
    Resource,
    /// Of a role: who may become it.
    Trust,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum Effect {
    Allow,
    Deny,
}

/// All statements of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    pub statements: Vec<Statement>,
}

/// One statement, its words already looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    /// Its name, or its number where it has none.
    pub name: String,
    pub effect: Effect,
    /// Of a resource's policy or a trust alone.
    pub principals: Option<Principals>,
    pub actions: Vec<String>,
    /// A trust has none: it is about its own role.
    pub resources: Vec<String>,
    pub conditions: Vec<Condition>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Document {
    version: String,
    statement: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Words {
    sid: Option<String>,
    effect: Effect,
    principal: Option<Value>,
    action: Value,
    resource: Option<Value>,
    #[serde(default)]
    condition: BTreeMap<String, BTreeMap<String, Value>>,
}

impl Policy {
    /// From its JSON.
    pub fn read(kind: Kind, text: &str) -> Result<Self> {
        ensure!(!text.contains("${"), "the evaluator knows no variables of policies");
        let document: Document = serde_json::from_str(text)?;
        ensure!(
            document.version == "2012-10-17",
            "the evaluator does not know policies of version {}",
            document.version
        );
        let statements = match document.statement {
            Value::Array(statements) => statements,
            one => vec![one],
        };
        ensure!(!statements.is_empty(), "a policy says something");
        let statements = statements.into_iter().enumerate();
        let statements = statements.map(|(number, statement)| {
            Statement::read(kind, number + 1, statement).with_context(|| format!("statement {}", number + 1))
        });
        Ok(Self {
            statements: statements.collect::<Result<_>>()?,
        })
    }

    /// Its statements that allow something.
    pub fn allowing(&self) -> impl Iterator<Item = &Statement> {
        self.statements
            .iter()
            .filter(|statement| statement.effect == Effect::Allow)
    }
}

impl Statement {
    fn read(kind: Kind, number: usize, statement: Value) -> Result<Self> {
        let words: Words = serde_json::from_value(statement)?;
        let principals = words.principal.as_ref().map(Principals::new).transpose()?;
        let resources = words.resource.as_ref().map(texts).transpose()?;
        ensure!(
            principals.is_some() != (kind == Kind::Identity),
            "statements name principals where others ask, and nowhere else"
        );
        ensure!(
            resources.is_some() != (kind == Kind::Trust),
            "statements name resources, but those of a trust"
        );
        let mut conditions = Vec::new();
        for (operator, keys) in words.condition {
            for (key, values) in keys {
                conditions.push(Condition::new(&operator, &key, texts(&values)?)?);
            }
        }
        Ok(Self {
            name: words.sid.unwrap_or_else(|| format!("statement {number}")),
            effect: words.effect,
            principals,
            actions: texts(&words.action)?,
            resources: resources.unwrap_or_default(),
            conditions,
        })
    }

    /// Whether it says something of an action on a resource in such a context, whoever asks.
    pub fn is_about(&self, action: &str, resource: &str, context: &Context) -> bool {
        let action = action.to_lowercase();
        let is_action = |one: &String| pattern::matches(&one.to_lowercase(), &action);
        let is_resource = |one: &String| pattern::matches_arn(one, resource);
        self.actions.iter().any(is_action)
            && (self.resources.is_empty() || self.resources.iter().any(is_resource))
            && self.conditions.iter().all(|condition| condition.holds(context))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(kind: Kind, statement: &Value) -> Result<Policy> {
        Policy::read(
            kind,
            &json!({"Version": "2012-10-17", "Statement": statement}).to_string(),
        )
    }

    #[test]
    fn one_statement_and_one_word_are_as_good_as_lists() {
        let one = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"});
        let list = json!([{"Effect": "Allow", "Action": ["s3:GetObject"], "Resource": ["arn:aws:s3:::b/*"]}]);
        assert_eq!(
            read(Kind::Identity, &one).unwrap(),
            read(Kind::Identity, &list).unwrap()
        );
    }

    #[test]
    fn actions_differ_not_by_their_case_and_resources_do() {
        let policy = json!({"Effect": "Allow", "Action": "s3:get*", "Resource": "arn:aws:s3:::b/*"});
        let statement = read(Kind::Identity, &policy).unwrap().statements.remove(0);
        let context = Context::default();
        assert!(statement.is_about("s3:GetObject", "arn:aws:s3:::b/x", &context));
        assert!(!statement.is_about("s3:GetObject", "arn:aws:s3:::B/x", &context));
        assert!(!statement.is_about("s3:PutObject", "arn:aws:s3:::b/x", &context));
    }

    #[test]
    fn what_the_evaluator_does_not_know_is_an_error() {
        let allow = |more: &Value| {
            let mut statement = json!({"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"});
            for (name, value) in more.as_object().unwrap() {
                statement[name] = value.clone();
            }
            statement
        };
        for (kind, more) in [
            (Kind::Identity, json!({"NotAction": "s3:*"})),
            (Kind::Identity, json!({"NotResource": "*"})),
            (Kind::Identity, json!({"Principal": "*"})),
            (
                Kind::Identity,
                json!({"Condition": {"DateLessThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}}),
            ),
            (Kind::Identity, json!({"Resource": "arn:aws:s3:::${aws:username}"})),
            (Kind::Identity, json!({"Effect": "Perhaps"})),
            (Kind::Resource, json!({})),
            (Kind::Resource, json!({"NotPrincipal": "*"})),
            (Kind::Trust, json!({"Principal": "*"})),
        ] {
            assert!(read(kind, &allow(&more)).is_err(), "{kind:?} {more}");
        }
        assert!(Policy::read(Kind::Identity, r#"{"Version": "2008-10-17", "Statement": []}"#).is_err());
        assert!(Policy::read(Kind::Identity, r#"{"Version": "2012-10-17", "Statement": []}"#).is_err());
    }
}
