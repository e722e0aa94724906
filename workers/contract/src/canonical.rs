//! The canonical form of a JSON document and its digest: the same data gives the same bytes. No network.
//!
//! Names are sorted by their UTF-8 bytes, there is no white space, numbers are in their shortest plain decimal text,
//! strings escape only what JSON demands.

use medallion_crds::hex::hex;
use sha2::{Digest as _, Sha256};

use crate::document::Node;
use crate::number::{ExactNumber, is_plain_integer};

/// Where canonical bytes go: straight into the hash, so that nothing is unfolded in memory.
trait Sink {
    fn put(&mut self, bytes: &[u8]);
}

impl Sink for Sha256 {
    fn put(&mut self, bytes: &[u8]) {
        self.update(bytes);
    }
}

impl Sink for Vec<u8> {
    fn put(&mut self, bytes: &[u8]) {
        self.extend_from_slice(bytes);
    }
}

/// The canonical form.
pub(crate) fn text(node: &Node<'_>) -> String {
    let mut bytes = Vec::new();
    write(node, &mut bytes);
    // Made of texts, and cut only where one byte is a letter.
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Hex SHA-256 of the canonical form.
pub(crate) fn digest(node: &Node<'_>) -> String {
    let mut hash = Sha256::new();
    write(node, &mut hash);
    hex(&hash.finalize())
}

/// Hex SHA-256 of a text.
pub(crate) fn digest_of(text: &str) -> String {
    hex(&Sha256::digest(text))
}

fn write(node: &Node<'_>, sink: &mut impl Sink) {
    match node {
        Node::Null => sink.put(b"null"),
        Node::Boolean(true) => sink.put(b"true"),
        Node::Boolean(false) => sink.put(b"false"),
        Node::Number(text) if is_plain_integer(text) => sink.put(text.as_bytes()),
        Node::Number(text) => {
            // Documents hold only numbers that parse; were it otherwise, the text itself would still be a function of it.
            let plain = ExactNumber::parse(text).map(|number| number.plain());
            sink.put(plain.as_deref().unwrap_or(text).as_bytes());
        }
        Node::String(text) => write_string(text, sink),
        Node::Array { items, .. } => {
            sink.put(b"[");
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    sink.put(b",");
                }
                write(item, sink);
            }
            sink.put(b"]");
        }
        Node::Object { members, .. } => {
            sink.put(b"{");
            for (index, member) in members.iter().enumerate() {
                if index > 0 {
                    sink.put(b",");
                }
                write_string(&member.name, sink);
                sink.put(b":");
                write(&member.value, sink);
            }
            sink.put(b"}");
        }
    }
}

fn write_string(text: &str, sink: &mut impl Sink) {
    sink.put(b"\"");
    let mut rest = text;
    while let Some(at) = rest
        .bytes()
        .position(|byte| byte < 0x20 || byte == b'"' || byte == b'\\')
    {
        sink.put(&rest.as_bytes()[..at]);
        match rest.as_bytes()[at] {
            b'"' => sink.put(b"\\\""),
            b'\\' => sink.put(b"\\\\"),
            b'\n' => sink.put(b"\\n"),
            b'\r' => sink.put(b"\\r"),
            b'\t' => sink.put(b"\\t"),
            control => sink.put(format!("\\u{control:04x}").as_bytes()),
        }
        rest = &rest[at + 1..];
    }
    sink.put(rest.as_bytes());
    sink.put(b"\"");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(json: &str) -> String {
        text(&Node::parse(json).expect("JSON"))
    }

    #[test]
    fn the_canonical_form_is_pinned() {
        // Stored digests depend on every byte of this: a change here tells duplicates apart that are none.
        let text = "{ \"b\" : [ 1.50, 1E2, -0 , true , null ],\n \"a\" : \"\\u00e9\\n\\u0001\\/\\\"\", \"\":{} }";
        assert_eq!(
            canonical(text),
            "{\"\":{},\"a\":\"é\\n\\u0001/\\\"\",\"b\":[1.5,100,0,true,null]}"
        );
        assert_eq!(
            digest(&Node::parse("{}").expect("JSON")),
            "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
        );
    }

    #[test]
    fn other_data_has_another_digest() {
        let one = digest(&Node::parse(r#"{"a":9007199254740993}"#).expect("JSON"));
        let other = digest(&Node::parse(r#"{"a":9007199254740992}"#).expect("JSON"));
        assert_ne!(one, other, "as doubles these two are equal; as data they are not");
    }

    /// JSON in two writings of the same data: the second with other order, white space and number forms.
    #[derive(Clone, Debug)]
    enum Data {
        Null,
        Boolean(bool),
        Number(i32, u8),
        Text(String),
        Array(Vec<Data>),
        Object(Vec<(String, Data)>),
    }

    impl Data {
        fn tidy(&self) -> String {
            match self {
                Self::Null => "null".to_owned(),
                Self::Boolean(value) => value.to_string(),
                Self::Number(mantissa, scale) => format!("{mantissa}e-{scale}"),
                Self::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
                Self::Array(items) => format!("[{}]", items.iter().map(Self::tidy).collect::<Vec<_>>().join(",")),
                Self::Object(members) => {
                    let members = members
                        .iter()
                        .map(|(name, value)| format!("{}:{}", serde_json::Value::from(name.as_str()), value.tidy()));
                    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
                }
            }
        }

        fn untidy(&self) -> String {
            match self {
                Self::Number(0, _) => "-0.00".to_owned(),
                Self::Number(mantissa, scale) => {
                    format!("{mantissa}000.00E-{}", u32::from(*scale) + 3)
                }
                Self::Array(items) => format!(
                    "[ {} ]",
                    items.iter().map(Self::untidy).collect::<Vec<_>>().join(" ,\n")
                ),
                Self::Object(members) => {
                    let members = members.iter().rev().map(|(name, value)| {
                        format!("{} :\t{}", serde_json::Value::from(name.as_str()), value.untidy())
                    });
                    format!("{{\r\n{} }}", members.collect::<Vec<_>>().join(" , "))
                }
                other => other.tidy(),
            }
        }
    }

    fn data() -> impl Strategy<Value = Data> {
        let text = "[^\\x00]{0,12}";
        let leaf = prop_oneof![
            Just(Data::Null),
            any::<bool>().prop_map(Data::Boolean),
            (any::<i32>(), 0_u8..20).prop_map(|(mantissa, scale)| Data::Number(mantissa, scale)),
            text.prop_map(Data::Text),
        ];
        leaf.prop_recursive(4, 32, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Data::Array),
                prop::collection::btree_map(text, inner, 0..6)
                    .prop_map(|members| Data::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn order_white_space_and_number_forms_do_not_matter(data in data()) {
            prop_assert_eq!(canonical(&data.tidy()), canonical(&data.untidy()));
        }

        #[test]
        fn the_canonical_form_is_its_own(data in data()) {
            let once = canonical(&data.tidy());
            prop_assert_eq!(&canonical(&once), &once);
            prop_assert!(serde_json::from_str::<serde_json::Value>(&once).is_ok(), "other readers take it as JSON");
        }
    }
}
