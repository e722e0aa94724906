//! The shop's contract refuses what its README says, by field, and lets every other oddity of a real till through.

use std::path::Path;

use medallion_contract::{Contract, Pointers};
use rstest::rstest;
use serde_json::{Map, Value, json};

fn contract() -> Contract {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbt/contract/purchase-contract-v1.schema.json");
    let pointers = Pointers {
        key: "/order_id",
        event_id: "/event_id",
        event_time: "/ordered_at",
        event_version: None,
    };
    Contract::from_file(&path, &pointers).expect("the contract compiles")
}

/// A purchase with some fields set, or taken out where they are `remove`.
fn purchase(changes: Map<String, Value>) -> Vec<u8> {
    let mut event = object(json!({
        "event_id": "e", "order_id": "536365-1", "line_number": 1, "buyer_id": "17850", "product_id": "85123A",
        "description": "WHITE HANGING HEART T-LIGHT HOLDER", "quantity": 6, "unit_price": 2.55, "total_amount": 15.30,
        "country": "United Kingdom", "ordered_at": "2010-12-01T08:26:00Z",
    }));
    for (field, value) in changes {
        if value == "remove" {
            event.remove(&field);
        } else {
            event.insert(field, value);
        }
    }
    Value::Object(event).to_string().into_bytes()
}

fn object(value: Value) -> Map<String, Value> {
    serde_json::from_value(value).expect("an object")
}

#[rstest]
#[case::ordinary(json!({}))]
#[case::nobody_known(json!({"buyer_id": null}))]
#[case::nobody_said(json!({"buyer_id": "remove"}))]
#[case::cancelled(json!({"order_id": "C536379-1", "quantity": -1, "total_amount": -2.55}))]
#[case::for_nothing(json!({"unit_price": 0, "total_amount": 0}))]
#[case::a_fee(json!({"product_id": "BANK CHARGES", "description": "Bank Charges"}))]
#[case::a_wrong_total(json!({"total_amount": 1}))]
#[case::a_field_of_tomorrow(json!({"channel": "web"}))]
fn oddities_of_a_real_till_pass(#[case] changes: Value) {
    contract().check(&purchase(object(changes))).expect("accepted");
}

#[rstest]
#[case::no_description(json!({"description": null}), "/description")]
#[case::blank_description(json!({"description": "   "}), "/description")]
#[case::description_left_out(json!({"description": "remove"}), "")]
#[case::nothing_bought(json!({"quantity": 0}), "/quantity")]
#[case::more_than_there_is(json!({"quantity": 1_000_000_001}), "/quantity")]
#[case::more_back_than_there_is(json!({"quantity": -1_000_000_001}), "/quantity")]
#[case::half_a_piece(json!({"quantity": 1.5}), "/quantity")]
#[case::bad_debt(json!({"unit_price": -11062.06}), "/unit_price")]
#[case::parts_of_pennies(json!({"total_amount": 15.301}), "/total_amount")]
#[case::no_product(json!({"product_id": " "}), "/product_id")]
#[case::a_local_time(json!({"ordered_at": "2010-12-01 08:26"}), "/ordered_at")]
fn what_is_no_purchase_is_refused_by_field(#[case] changes: Value, #[case] field: &str) {
    let changes = object(changes);
    let changed: Vec<String> = changes.keys().cloned().collect();
    let refusal = contract().check(&purchase(changes)).expect_err("refused");
    assert!(refusal.field.starts_with(field), "{refusal:?}");
    let words = format!("{refusal:?}");
    assert!(changed.iter().all(|name| words.contains(name)), "{words}");
}
