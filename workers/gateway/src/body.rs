//! A request's body into the texts of its events. No network.

use std::fmt;

use serde::de::{Deserializer, IgnoredAny, SeqAccess, Visitor};
use serde_json::value::RawValue;
use thiserror::Error;

/// How events stand in a body.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Form {
    /// One JSON value, or an array of them.
    Json,
    /// One JSON value a line.
    Lines,
}

/// A body that holds no events to judge one by one.
#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum BodyError {
    #[error("the body is not JSON: {0}")]
    Malformed(String),
    #[error(
        "the body has no events; send one JSON object, an array of objects, or one object a line as application/x-ndjson"
    )]
    Empty,
    #[error("the body has more than {limit} events; send them in several requests")]
    TooMany { limit: usize },
}

/// The texts of the events in a body. A line of NDJSON that is not JSON is an event, to be refused by itself.
pub(crate) fn split(body: &[u8], form: Form, limit: usize) -> Result<Vec<&[u8]>, BodyError> {
    let events = match form {
        Form::Lines => {
            let lines = body
                .split(|byte| *byte == b'\n')
                .map(<[u8]>::trim_ascii)
                .filter(|line| !line.is_empty());
            // One more than allowed is enough to know.
            lines.take(limit.saturating_add(1)).collect()
        }
        Form::Json => split_json(body, limit)?,
    };
    if events.is_empty() {
        return Err(BodyError::Empty);
    }
    if events.len() > limit {
        return Err(BodyError::TooMany { limit });
    }
    Ok(events)
}

fn split_json(body: &[u8], limit: usize) -> Result<Vec<&[u8]>, BodyError> {
    let text = std::str::from_utf8(body).map_err(|error| BodyError::Malformed(error.to_string()))?;
    if !text.trim_start().starts_with('[') {
        if text.trim().is_empty() {
            return Err(BodyError::Empty);
        }
        let event: &RawValue = serde_json::from_str(text).map_err(|error| BodyError::Malformed(error.to_string()))?;
        return Ok(vec![event.get().as_bytes()]);
    }
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let events = (&mut deserializer)
        .deserialize_seq(Elements { limit })
        .map_err(|error| BodyError::Malformed(error.to_string()))?;
    deserializer
        .end()
        .map_err(|error| BodyError::Malformed(error.to_string()))?;
    Ok(events)
}

/// Collects the elements of an array up to one more than the limit: a body of a million zeros is not worth a list.
struct Elements {
    limit: usize,
}

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de [u8]>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while let Some(event) = elements.next_element::<&'de RawValue>()? {
            events.push(event.get().as_bytes());
            if events.len() > self.limit {
                while elements.next_element::<IgnoredAny>()?.is_some() {}
                break;
            }
        }
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn texts(body: &str, form: Form) -> Result<Vec<String>, BodyError> {
        let events = split(body.as_bytes(), form, 3)?;
        Ok(events
            .into_iter()
            .map(|event| String::from_utf8_lossy(event).into_owned())
            .collect())
    }

    #[rstest]
    #[case(Form::Json, " {\"a\": 1.0} ", &["{\"a\": 1.0}"])]
    #[case(Form::Json, "[{\"a\":1}, 5 ,[]]", &["{\"a\":1}", "5", "[]"])]
    #[case(Form::Json, "5", &["5"])]
    #[case(Form::Lines, "{\"a\":1}\r\n\n  {\"b\":2}", &["{\"a\":1}", "{\"b\":2}"])]
    #[case(Form::Lines, "{\"a\":\nnonsense\n", &["{\"a\":", "nonsense"])]
    fn events_keep_the_text_that_was_sent(#[case] form: Form, #[case] body: &str, #[case] events: &[&str]) {
        assert_eq!(texts(body, form).expect("events"), events);
    }

    #[rstest]
    #[case(Form::Json, "")]
    #[case(Form::Json, "  \n")]
    #[case(Form::Json, "[]")]
    #[case(Form::Lines, "\n \n")]
    fn a_body_without_events_says_so(#[case] form: Form, #[case] body: &str) {
        assert_eq!(texts(body, form), Err(BodyError::Empty));
    }

    #[rstest]
    #[case("{\"a\":1")]
    #[case("{}{}")]
    #[case("[{}] 1")]
    #[case("[{},]")]
    #[case("[0,0,0,0,0,oops]")]
    #[case("nonsense")]
    fn a_malformed_body_is_malformed(#[case] body: &str) {
        assert!(matches!(texts(body, Form::Json), Err(BodyError::Malformed(_))));
    }

    #[rstest]
    #[case(Form::Json, "[1,2,3,4]")]
    #[case(Form::Json, "[1,2,3,4,5,6]")]
    #[case(Form::Lines, "1\n2\n3\n4\n5")]
    fn too_many_events_are_too_many(#[case] form: Form, #[case] body: &str) {
        assert_eq!(texts(body, form), Err(BodyError::TooMany { limit: 3 }));
    }

    #[test]
    fn a_body_that_is_not_text_is_malformed() {
        assert!(matches!(
            split(&[0xff, 0xfe], Form::Json, 3),
            Err(BodyError::Malformed(_))
        ));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = split(&body, Form::Json, 3);
            let _ = split(&body, Form::Lines, 3);
        }

        #[test]
        fn an_array_and_its_lines_are_the_same_events(values in prop::collection::vec("[a-z\"\\\\]{0,9}", 1..9)) {
            let values: Vec<String> = values.into_iter().map(|value| serde_json::Value::from(value).to_string()).collect();
            let array = format!("[{}]", values.join(","));
            let lines = values.join("\n");
            prop_assert_eq!(
                split(array.as_bytes(), Form::Json, 100).expect("events"),
                split(lines.as_bytes(), Form::Lines, 100).expect("events")
            );
        }
    }
}
