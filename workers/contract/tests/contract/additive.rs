//! Stories of contracts that are changed while Bronze has rows by the contract before. No network.

use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use medallion_contract::{Contract, Difference, Pointers, Rules};
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
    changed.adds_to(&bronze(), None).expect_err("not additive").to_string()
}

#[test]
fn the_same_contract_and_one_that_adds_go_on() {
    assert_eq!(contract(REQUIRED, PROPERTIES).adds_to(&bronze(), None), Ok(()));
    let more = format!(r#""coupon":{{"type":"string"}},{PROPERTIES},"lines":{{"type":"array"}}"#);
    assert_eq!(contract(REQUIRED, &more).adds_to(&bronze(), None), Ok(()));
    let fewer = contract(r#""id","event","at""#, PROPERTIES);
    assert_eq!(
        fewer.adds_to(&bronze(), None),
        Ok(()),
        "what is required may become optional"
    );
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
        changed.adds_to(&bronze(), None).expect_err("not additive").0,
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
    let found = changed.adds_to(&bronze(), None).expect_err("not additive");
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
    assert_eq!(
        contract(REQUIRED, PROPERTIES).adds_to(&Schema::new(fields), None),
        Ok(())
    );
}

#[test]
fn columns_of_the_product_are_none_of_the_contract_s_business() {
    let mut fields: Vec<Field> = bronze().fields().iter().map(|field| field.as_ref().clone()).collect();
    fields.push(Field::new("_of_a_later_version", DataType::Int64, true));
    fields.retain(|field| field.name() != "_source");
    assert_eq!(
        contract(REQUIRED, PROPERTIES).adds_to(&Schema::new(fields), None),
        Ok(())
    );
}

/// What is wrong with a contract whose property `count` or whose whole is written in another way; empty if nothing is.
fn against_rules(before: (&str, &str, &str), after: (&str, &str, &str)) -> Vec<Difference> {
    let pointers = Pointers {
        key: "/id",
        event_id: "/event",
        event_time: "/at",
        event_version: None,
    };
    let compiled = |(required, count, beside): (&str, &str, &str)| {
        let schema = format!(
            r#"{{"type":"object","required":[{REQUIRED}{required}],"properties":{{"id":{{"type":"string"}},
            "event":{{"type":"string"}},"at":{{"type":"string","format":"date-time"}},"count":{count}}}{beside}}}"#
        );
        Contract::compile(&schema, &pointers).expect("a contract")
    };
    let (before, after) = (compiled(before), compiled(after));
    let rules = Rules::read(Some(&before.rules().to_position())).expect("what was written");
    let found = after.adds_to(&before.bronze_table_schema(), Some(&rules));
    found.err().map(|refused| refused.0).unwrap_or_default()
}

#[rstest]
#[case::an_enum(r#"{"type":"string","enum":["a","b"]}"#, r#"{"type":"string","enum":["a"]}"#)]
#[case::a_new_enum(r#"{"type":"string"}"#, r#"{"type":"string","enum":["a"]}"#)]
#[case::another_value(r#"{"type":"string","const":"a"}"#, r#"{"type":"string","enum":["b","c"]}"#)]
#[case::a_pattern(r#"{"type":"string"}"#, r#"{"type":"string","pattern":"^a"}"#)]
#[case::another_pattern(r#"{"type":"string","pattern":"^b"}"#, r#"{"type":"string","pattern":"^a"}"#)]
#[case::a_maximum(r#"{"type":"integer","maximum":10}"#, r#"{"type":"integer","maximum":9}"#)]
#[case::a_minimum(r#"{"type":"integer","minimum":9}"#, r#"{"type":"integer","minimum":10}"#)]
#[case::no_null(r#"{"type":["integer","null"]}"#, r#"{"type":"integer"}"#)]
#[case::text_that_was_no_json(r#"{"type":"string"}"#, r#"{"type":["string","integer"]}"#)]
#[case::inside(
    r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
    r#"{"type":"object","properties":{"a":{"type":"string","maxLength":3}}}"#
)]
#[case::required_inside(
    r#"{"type":"object","properties":{"a":{"type":"string"}}}"#,
    r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#
)]
#[case::in_the_items(
    r#"{"type":"array","items":{"type":"object"}}"#,
    r#"{"type":"array","items":{"type":"object","minProperties":1}}"#
)]
#[case::never(r#"{"type":"array","items":true}"#, r#"{"type":"array","items":false}"#)]
#[case::dependencies(r#"{"type":"object"}"#, r#"{"type":"object","dependencies":{"a":["b"]}}"#)]
#[case::others_of_a_type(
    r#"{"type":"object","additionalProperties":true}"#,
    r#"{"type":"object","additionalProperties":{"type":"string"}}"#
)]
#[case::others_of_another_type(
    r#"{"type":"object","additionalProperties":{"type":"string"}}"#,
    r#"{"type":"object","additionalProperties":{"type":"integer"}}"#
)]
fn a_property_of_which_more_is_asked_is_refused(#[case] before: &str, #[case] after: &str) {
    let property = "count".to_owned();
    assert_eq!(
        against_rules(("", before, ""), ("", after, "")),
        [Difference::Narrowed { property }]
    );
}

#[rstest]
#[case::words(
    r#"{"type":"string","title":"one"}"#,
    r#"{"type":"string","description":"two","examples":["a"],"x-owner":"us"}"#
)]
#[case::an_enum(r#"{"type":"string","enum":["a","b"]}"#, r#"{"type":"string","enum":["b","c","a"]}"#)]
#[case::a_second_value(r#"{"type":"string","const":"a"}"#, r#"{"type":"string","enum":["b","a"]}"#)]
#[case::no_enum(r#"{"type":"string","enum":["a"]}"#, r#"{"type":"string"}"#)]
#[case::a_maximum(r#"{"type":"integer","maximum":9}"#, r#"{"type":"integer","maximum":10}"#)]
#[case::a_minimum(r#"{"type":"integer","minimum":10}"#, r#"{"type":"integer","minimum":9.5}"#)]
#[case::null(r#"{"type":"integer"}"#, r#"{"type":["integer","null"]}"#)]
#[case::a_name_inside(
    r#"{"type":"object","properties":{"a":{"type":"string"}},"required":["a"]}"#,
    r#"{"type":"object","properties":{"title":{"type":"string"},"a":{"type":"string"}},"required":["a"]}"#
)]
#[case::a_name_in_the_items(
    r#"{"type":"array","items":{"type":"object","properties":{}}}"#,
    r#"{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}}}}"#
)]
#[case::others(
    r#"{"type":"object","additionalProperties":false}"#,
    r#"{"type":"object","additionalProperties":true}"#
)]
#[case::others_of_a_type(
    r#"{"type":"object","additionalProperties":false}"#,
    r#"{"type":"object","additionalProperties":{"type":"string"}}"#
)]
#[case::longer_others(
    r#"{"type":"object","additionalProperties":{"type":"string","maxLength":3}}"#,
    r#"{"type":"object","additionalProperties":{"type":"string","maxLength":4}}"#
)]
#[case::what_was_so_all_along(
    r#"{"type":"object"}"#,
    r#"{"type":"object","additionalProperties":true,"propertyNames":{},"required":[]}"#
)]
#[case::repeated_items(r#"{"type":"array","uniqueItems":true}"#, r#"{"type":"array","uniqueItems":false}"#)]
#[case::no_dependencies(r#"{"type":"object","dependencies":{"a":["b"]}}"#, r#"{"type":"object"}"#)]
fn a_property_of_which_no_more_is_asked_goes_on(#[case] before: &str, #[case] after: &str) {
    assert_eq!(against_rules(("", before, ""), ("", after, "")), NOTHING);
}

const PLAIN: &str = r#"{"type":"integer"}"#;
const NOTHING: [Difference; 0] = [];

#[test]
fn what_becomes_required_is_refused_and_what_becomes_optional_goes_on() {
    let (optional, required) = (("", PLAIN, ""), (r#","count""#, PLAIN, ""));
    let property = "count".to_owned();
    assert_eq!(
        against_rules(optional, required),
        [Difference::RequiredNow { property }]
    );
    assert_eq!(against_rules(required, optional), NOTHING);
}

#[rstest]
#[case::closed(r#","additionalProperties":false"#)]
#[case::a_condition(r#","if":{"required":["count"]},"then":{"required":["note"]}"#)]
#[case::dependent(r#","dependentRequired":{"count":["note"]}"#)]
#[case::dependencies(r#","dependencies":{"count":["note"]}"#)]
#[case::a_dependency_on_a_schema(r#","dependencies":{"count":{"required":["note"]}}"#)]
fn what_is_asked_of_whole_events_is_held_against_what_was(#[case] after: &str) {
    let with = |beside| against_rules(("", PLAIN, ""), ("", PLAIN, beside));
    assert_eq!(with(after), [Difference::EventsNarrowed]);
    let renamed = r#","title":"Orders","$id":"https://shop.example/orders/2""#;
    assert_eq!(with(renamed), NOTHING);
}

#[test]
fn an_opened_contract_goes_on() {
    let closed = r#","additionalProperties":false"#;
    for open in ["", r#","additionalProperties":true"#] {
        assert_eq!(against_rules(("", PLAIN, closed), ("", PLAIN, open)), NOTHING);
    }
}

#[test]
fn what_a_property_refers_to_is_part_of_it() {
    let reference = r##"{"$ref":"#/$defs/count"}"##;
    let defined = |asked: &str| {
        let items = r##""items":{"$ref":"#/$defs/count"}"##;
        format!(r#","$defs":{{"count":{{"type":"integer",{items}{asked}}}}}"#)
    };
    let (open, narrow) = (defined(""), defined(r#","maximum":3"#));
    let property = "count".to_owned();
    assert_eq!(
        against_rules(("", reference, &open), ("", reference, &narrow)),
        [Difference::Narrowed { property }]
    );
    let titled = defined(r#","title":"How many""#);
    assert_eq!(against_rules(("", reference, &open), ("", reference, &titled)), NOTHING);
    assert_eq!(
        against_rules(("", reference, &narrow), ("", reference, &open)),
        NOTHING,
        "what it refers to may ask for less"
    );
}

#[test]
fn what_is_defined_may_grow_where_more_is_let_through_by_it() {
    let address = |more: &str| {
        format!(
            r#","$defs":{{"address":{{"type":"object","required":["city"],"properties":{{"city":{{"type":"string"}}{more}}}}}}}"#
        )
    };
    let (before, after) = (address(""), address(r#","street":{"type":"string"}"#));
    let goes_on = |property: &str| against_rules(("", property, &before), ("", property, &after));
    let nested = r##"{"type":"array","items":{"type":"object","properties":{"to":{"$ref":"#/$defs/address"}}}}"##;
    assert_eq!(goes_on(nested), NOTHING);
    let more = r##"{"type":"object","properties":{"to":{"type":"string"},"from":{"$ref":"#/$defs/address"}}}"##;
    let fewer = r#"{"type":"object","properties":{"to":{"type":"string"}}}"#;
    assert_eq!(against_rules(("", fewer, &before), ("", more, &before)), NOTHING);
    // What asks for less there asks for more here.
    let excluded = r##"{"type":"object","not":{"$ref":"#/$defs/address"}}"##;
    let bound = address("").replace(r#""required":["city"],"#, "");
    let property = "count".to_owned();
    assert_eq!(
        against_rules(("", excluded, &before), ("", excluded, &bound)),
        [Difference::Narrowed { property }]
    );
}

#[test]
fn an_event_that_holds_events_may_get_a_new_property() {
    let children = r##"{"type":"array","items":{"$ref":"#"}}"##;
    let more = format!(r#"{children},"extra":{{"type":"string"}}"#);
    assert_eq!(against_rules(("", children, ""), ("", &more, "")), NOTHING);
    let narrow = format!(r#"{children},"extra":{{"type":"string"}}"#);
    let narrower = format!(r#"{children},"extra":{{"type":"string","maxLength":3}}"#);
    assert_eq!(
        against_rules(("", &narrow, ""), ("", &narrower, "")),
        ["count", "extra"].map(|property| Difference::Narrowed {
            property: property.to_owned()
        })
    );
}

#[test]
fn what_is_referred_to_by_its_name_is_found_wherever_it_stands() {
    let named = |asked: &str| {
        format!(
            r##"{{"type":"object","properties":{{"a":{{"$anchor":"piece","type":"string"{asked}}},"b":{{"$ref":"#piece"}}}}}}"##
        )
    };
    let moved = |asked: &str| {
        let list = r##"{"type":"array","items":{"$ref":"#piece"}}"##;
        (list, format!(r#","if":{{"$anchor":"piece","type":"object"{asked}}}"#))
    };
    let property = "count".to_owned();
    assert_eq!(
        against_rules(("", &named(""), ""), ("", &named(r#","maxLength":3"#), "")),
        [Difference::Narrowed {
            property: property.clone()
        }]
    );
    let ((list, before), (_, after)) = (moved(""), moved(r#","minProperties":1"#));
    let found = against_rules(("", list, &before), ("", list, &after));
    assert!(found.contains(&Difference::Narrowed { property }), "{found:?}");
}

#[test]
fn a_long_list_may_become_longer() {
    let codes = |count: usize| {
        let codes: Vec<String> = (0..count).map(|number| format!(r#""code-{number:05}""#)).collect();
        format!(r#"{{"type":"string","enum":[{}]}}"#, codes.join(","))
    };
    let (few, many) = (codes(400), codes(401));
    assert_eq!(against_rules(("", &few, ""), ("", &many, "")), NOTHING);
    let property = "count".to_owned();
    assert_eq!(
        against_rules(("", &many, ""), ("", &few, "")),
        [Difference::Narrowed { property }]
    );
}

#[test]
fn what_the_columns_tell_is_said_once_and_rules_that_nobody_understands_say_nothing() {
    let text = r#"{"type":"string"}"#;
    let found = against_rules(("", PLAIN, ""), ("", text, ""));
    assert!(matches!(found.as_slice(), [Difference::Changed { .. }]), "{found:?}");
    assert_eq!(Rules::read(None), None);
    assert_eq!(Rules::read(Some(&serde_json::json!("of a later release"))), None);
}
