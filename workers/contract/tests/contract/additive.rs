//! Stories of contracts that are changed while Bronze has rows by the contract before. No network.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use medallion_contract::{Contract, Difference, Pointers};
use rstest::rstest;

const REQUIRED: &str = r#""id","event","at""#;
const PROPERTIES: &str = r#""id":{"type":"string"},"event":{"type":"string"},"at":{"type":"string","format":"date-time"},
    "amount":{"type":["string","null"],"x-decimal":{"precision":9,"scale":2}},"count":{"type":"integer"},
    "day":{"type":"string","format":"date"},"open":{"type":"boolean"},"weight":{"type":"number"},"note":{"type":"string"}"#;

fn contract(required: &str, properties: &str) -> Contract {
    let pointers = Pointers {
        key: "/id",
        event_id: "/event",
        event_time: "/at",
        event_version: None,
    };
    let schema = format!(r#"{{"type":"object","required":[{required}],"properties":{{{properties}}}}}"#);
    Contract::compile(&schema, &pointers).expect("a contract")
}

/// What Bronze has by the contract before.
fn bronze() -> Schema {
    contract(REQUIRED, PROPERTIES).bronze_table_schema().as_ref().clone()
}

fn words(changed: &Contract) -> String {
    changed.adds_to(&bronze()).expect_err("not additive").to_string()
}

#[test]
fn the_same_contract_and_one_that_adds_go_on() {
    assert_eq!(contract(REQUIRED, PROPERTIES).adds_to(&bronze()), Ok(()));
    let more = format!(r#""coupon":{{"type":"string"}},{PROPERTIES},"lines":{{"type":"array"}}"#);
    assert_eq!(contract(REQUIRED, &more).adds_to(&bronze()), Ok(()));
    let fewer = contract(r#""id","event","at""#, PROPERTIES);
    assert_eq!(fewer.adds_to(&bronze()), Ok(()), "what is required may become optional");
}

#[rstest]
#[case::another_type(
    r#""count":{"type":"integer"}"#,
    r#""count":{"type":"string"}"#,
    "property count was an integer and is now text"
)]
#[case::a_decimal_of_more_digits(
    r#""precision":9"#,
    r#""precision":12"#,
    "property amount was a decimal(9,2) and is now a decimal(12,2)"
)]
#[case::a_decimal_to_a_double(
    r#","x-decimal":{"precision":9,"scale":2}"#,
    "",
    "property amount was a decimal(9,2) and is now text"
)]
#[case::a_date_to_a_time(
    r#""format":"date"}"#,
    r#""format":"date-time"}"#,
    "property day was a date and is now a date-time"
)]
#[case::a_flag_to_an_object(
    r#""open":{"type":"boolean"}"#,
    r#""open":{"type":"object"}"#,
    "property open was a boolean and is now text"
)]
#[case::a_number_to_an_integer(
    r#""weight":{"type":"number"}"#,
    r#""weight":{"type":"integer"}"#,
    "property weight was a number and is now an integer"
)]
#[case::removed(r#","note":{"type":"string"}"#, "", "property note (text) is gone")]
#[case::renamed(r#""note""#, r#""remark""#, "property note (text) is gone")]
fn a_change_of_what_is_there_is_refused_with_the_difference(
    #[case] before: &str,
    #[case] after: &str,
    #[case] difference: &str,
) {
    assert!(PROPERTIES.contains(before), "{before}");
    let words = words(&contract(REQUIRED, &PROPERTIES.replace(before, after)));
    assert!(words.starts_with(difference), "{words}");
    assert!(words.contains("may only add properties"), "the fix: {words}");
}

#[test]
fn a_new_property_must_not_be_required() {
    let changed = contract(
        &format!(r#"{REQUIRED},"coupon""#),
        &format!(r#"{PROPERTIES},"coupon":{{"type":"string"}}"#),
    );
    let column = "coupon".to_owned();
    assert_eq!(
        changed.adds_to(&bronze()).expect_err("not additive").0,
        [Difference::Required { column }]
    );
    assert!(words(&changed).starts_with("property coupon is new and required"));
}

#[test]
fn all_differences_are_named_at_once() {
    let changed = PROPERTIES
        .replace(r#""count":{"type":"integer"}"#, r#""count":{"type":"number"}"#)
        .replace(r#","note":{"type":"string"}"#, r#","remark":{"type":"string"}"#);
    let changed = contract(&format!(r#"{REQUIRED},"remark""#), &changed);
    let found = changed.adds_to(&bronze()).expect_err("not additive");
    assert_eq!(found.0.len(), 3, "{found}");
}

#[test]
fn a_table_as_readers_spell_it_is_the_same_table() {
    let spelt = |field: &Field| match field.data_type() {
        DataType::Utf8 => field.clone().with_data_type(DataType::Utf8View),
        DataType::Timestamp(..) => field
            .clone()
            .with_data_type(DataType::Timestamp(TimeUnit::Microsecond, Some("+00:00".into()))),
        DataType::Decimal128(precision, scale) => field.clone().with_data_type(DataType::Decimal64(*precision, *scale)),
        _ => field.clone(),
    };
    let fields: Vec<Field> = bronze().fields().iter().map(|field| spelt(field)).collect();
    assert_eq!(contract(REQUIRED, PROPERTIES).adds_to(&Schema::new(fields)), Ok(()));
}

#[test]
fn columns_of_the_product_are_none_of_the_contract_s_business() {
    let mut fields: Vec<Field> = bronze().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new("_of_a_later_version", DataType::Int64, true));
    fields.retain(|field| field.name() != "_source");
    assert_eq!(contract(REQUIRED, PROPERTIES).adds_to(&Schema::new(fields)), Ok(()));
}
