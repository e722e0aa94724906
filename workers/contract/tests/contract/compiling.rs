//! Stories of people who write a contract: which words they get when it is wrong. No network.

use medallion_contract::{ColumnType, Contract, ContractError, Pointers};
use medallion_crds::launch::{ContractSettings, ContractVersionSettings, schema_digest};
use rstest::rstest;

const POINTERS: Pointers<'static> = Pointers {
    key: "/id",
    event_id: "/event",
    event_time: "/at",
    event_version: None,
};

/// A good contract with one property more.
fn schema_with(property: &str) -> String {
    format!(
        r#"{{"type":"object","required":["id","event","at"],"properties":{{
            "id":{{"type":"string"}},"event":{{"type":"string"}},"at":{{"type":"string","format":"date-time"}}{property}}}}}"#
    )
}

fn error(schema: &str, pointers: &Pointers<'_>) -> String {
    Contract::compile(schema, pointers)
        .expect_err("the contract is wrong")
        .to_string()
}

#[rstest]
#[case("{", &["contract schema", "not JSON", "correct"])]
#[case("[]", &["must be an object", "properties"])]
#[case("true", &["must be an object"])]
#[case(r#"{"type":"object","properties":{}}"#, &["at least one property"])]
#[case(r#"{"type":"object","type":"object"}"#, &["/type", "more than once"])]
#[case(r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#, &["/$schema", "draft-07", "2020-12"])]
#[case(&schema_with(r#","x":{"type":"strin"}"#), &["/properties/x/type"])]
#[case(&schema_with(r#","x":{"type":"string","format":"datetime"}"#), &["datetime"])]
#[case(&schema_with(r#","x":{"type":"string","pattern":"("}"#), &["/properties/x/pattern"])]
#[case(&schema_with(r#","x":{"$ref":"https://example.com/x.json"}"#), &["/properties/x/$ref", "https://example.com/x.json", "$defs"])]
#[case(&schema_with(r##","x":{"$ref":"#/$defs/x"}"##), &["#/$defs/x"])]
#[case(&schema_with(r#","Buyer":{}"#), &["/properties/Buyer", "lower-case"])]
#[case(&schema_with(r#","part_day":{}"#), &["/properties/part_day"])]
#[case(&schema_with(r#","_x":{}"#), &["/properties/_x"])]
#[case(&schema_with(r#","x":{"type":"integer","x-decimal":{"precision":3,"scale":1}}"#), &["/properties/x/x-decimal", "number"])]
#[case(&schema_with(r#","x":{"type":"number","x-decimal":{"precision":39,"scale":1}}"#), &["/properties/x/x-decimal", "38"])]
#[case(&schema_with(r#","x":{"type":"number","x-decimal":{"precision":3,"scale":4}}"#), &["0 <= S <= P"])]
#[case(&schema_with(r#","x":{"type":"number","x-decimal":{"precision":3}}"#), &["scale"])]
fn a_wrong_schema_gets_words_on_what_where_and_how(#[case] schema: &str, #[case] words: &[&str]) {
    let error = error(schema, &POINTERS);
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

#[rstest]
#[case(Pointers { key: "id", ..POINTERS }, &["key `id`", "JSON Pointer"])]
#[case(Pointers { key: "", ..POINTERS }, &["JSON Pointer"])]
#[case(Pointers { key: "/nothing", ..POINTERS }, &["key `/nothing`", "`nothing`", "`properties`"])]
#[case(Pointers { key: "/maybe", ..POINTERS }, &["`maybe`", "`required`"])]
#[case(Pointers { key: "/null", ..POINTERS }, &["/properties/null", "not null"])]
#[case(Pointers { key: "/deep", ..POINTERS }, &["/properties/deep", "string, integer or number"])]
#[case(Pointers { key: "/deep/maybe", ..POINTERS }, &["`maybe`", "`required` of /properties/deep"])]
#[case(Pointers { key: "/loose/name", ..POINTERS }, &["/properties/loose", "\"type\": \"object\""])]
#[case(Pointers { event_id: "/flag", ..POINTERS }, &["eventId", "/properties/flag"])]
#[case(Pointers { event_time: "/id", ..POINTERS }, &["eventTime", "date-time"])]
#[case(Pointers { event_version: Some("/id"), ..POINTERS }, &["eventVersion", "integer"])]
fn a_wrong_pointer_gets_words_on_what_where_and_how(#[case] pointers: Pointers<'_>, #[case] words: &[&str]) {
    let schema = r#"{"type":"object","required":["id","event","at","null","deep","loose","flag"],"properties":{
        "id":{"type":"string"},"event":{"type":"string"},"at":{"type":"string","format":"date-time"},
        "maybe":{"type":"string"},"null":{"type":["string","null"]},"flag":{"type":"boolean"},
        "deep":{"type":"object","properties":{"maybe":{"type":"string"}}},
        "loose":{"required":["name"],"properties":{"name":{"type":"string"}}}}}"#;
    let error = error(schema, &pointers);
    for word in words {
        assert!(error.contains(word), "`{word}` is missing in: {error}");
    }
}

#[test]
fn a_circle_of_references_is_an_error_and_no_endless_loop() {
    let schema = schema_with(r##","x":{"$ref":"#/properties/x"}"##);
    assert!(matches!(
        Contract::compile(&schema, &POINTERS),
        Err(ContractError::Invalid { .. })
    ));
}

#[test]
fn the_version_is_a_function_of_the_schema_and_not_of_its_writing() {
    let text = schema_with("");
    let spaced = text.replace(',', " ,\n ");
    let version = |schema: &str| {
        Contract::compile(schema, &POINTERS)
            .expect("a contract")
            .digest()
            .to_owned()
    };
    assert_eq!(version(&text), version(&spaced));
    assert_eq!(version(&text).len(), 64);
    assert_ne!(version(&text), version(&schema_with(r#","x":{"type":"string"}"#)));
}

#[test]
fn a_mounted_text_is_taken_only_if_it_is_the_one_that_was_looked_at() {
    let mounted = |looked_at: &str| {
        Contract::mounted(&ContractSettings {
            versions: vec![ContractVersionSettings {
                name: "v1".to_owned(),
                schema_path: concat!(env!("CARGO_MANIFEST_DIR"), "/tests/contract/schemas/purchase.json").to_owned(),
                digest: schema_digest(looked_at),
            }],
            key: "/order_id".to_owned(),
            event_id: "/event_id".to_owned(),
            event_time: "/ordered_at".to_owned(),
            event_version: None,
        })
    };
    let text = include_str!("schemas/purchase.json");
    assert!(mounted(text).is_ok());
    let error = mounted(&text.replacen("order_id", "order_no", 1)).expect_err("it was changed in place");
    assert!(matches!(error, ContractError::Changed { .. }), "{error}");
    for words in ["changed in place", "a corrected contract is a new ConfigMap"] {
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[test]
fn the_type_table_is_pinned() {
    // Tables in lakes and warehouses are made of these words.
    let table: Vec<String> = crate::examples::shipment()
        .columns()
        .iter()
        .map(|column| {
            let kind = column.kind;
            format!(
                "{} {} | {} | {}",
                column.name,
                kind.arrow(),
                kind.duckdb(),
                kind.redshift()
            )
        })
        .collect();
    assert_eq!(
        table,
        [
            "weighed_at Timestamp(µs, \"UTC\") | TIMESTAMPTZ | TIMESTAMPTZ",
            "order Utf8 | VARCHAR | VARCHAR(65535)",
            "sequence Int64 | BIGINT | BIGINT",
            "revision Int64 | BIGINT | BIGINT",
            "weight Decimal128(9, 3) | DECIMAL(9,3) | DECIMAL(9,3)",
            "due Date32 | DATE | DATE",
            "fragile Boolean | BOOLEAN | BOOLEAN",
            "height Float64 | DOUBLE | DOUBLE PRECISION",
            "note Utf8 | VARCHAR | VARCHAR(65535)",
        ]
    );
    let text = crate::examples::purchase()
        .columns()
        .iter()
        .filter(|column| column.kind == ColumnType::Text)
        .count();
    assert_eq!(text, 6);
}
