//! The values of policies: one text or several. Touches no network.

use anyhow::{Result, bail};
use serde_json::Value;

/// One text or several; true, false and numbers are texts, too.
pub fn texts(value: &Value) -> Result<Vec<String>> {
    match value {
        Value::Array(values) => values.iter().map(text).collect(),
        one => Ok(vec![text(one)?]),
    }
}

fn text(value: &Value) -> Result<String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        other => bail!("{other} is no text"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lists_and_what_is_no_string_are_texts_and_objects_are_none() {
        assert_eq!(texts(&json!("a")).unwrap(), ["a"]);
        assert_eq!(texts(&json!(["a", true, 1.2])).unwrap(), ["a", "true", "1.2"]);
        assert!(texts(&json!({"a": "b"})).is_err());
        assert!(texts(&json!([["a"]])).is_err());
    }
}
