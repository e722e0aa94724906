//! Stories of events that are taken or refused. No network.

use crate::examples::{PURCHASE, SHIPMENT, purchase, shipment};
use medallion_contract::{MAX_EVENT_BYTES, Refusal};
use medallion_crds::Reason;
use rstest::rstest;

fn refusal(event: &str) -> Refusal {
    purchase()
        .check(event.as_bytes())
        .expect_err("the event must be refused")
}

#[test]
fn an_event_that_fits_is_identified() {
    let event = purchase().check(PURCHASE.as_bytes()).expect("fits");
    assert_eq!(event.key, "536365-1");
    assert_eq!(event.event_id, "0123456789abcdef0123456789abcdef");
    assert_eq!(event.event_time.to_string(), "2010-12-01T08:26:00Z");
    assert_eq!(event.version, None);
    assert_eq!(event.digest.len(), 64);
}

#[test]
fn a_key_may_be_nested_and_a_number() {
    let event = shipment().check(SHIPMENT.as_bytes()).expect("fits");
    assert_eq!(
        (event.key.as_str(), event.event_id.as_str(), event.version),
        ("1000", "7", Some(3))
    );
    assert_eq!(event.event_time.to_string(), "2024-05-06T05:08:09.123456789Z");
}

#[rstest]
#[case("1000", "1000")]
#[case("1000.0", "1000")]
#[case("1.000e3", "1000")]
#[case("-0", "0")]
#[case("9007199254740993", "9007199254740993")]
fn one_number_is_one_key_however_it_is_written(#[case] written: &str, #[case] key: &str) {
    let event = shipment()
        .check(SHIPMENT.replace("1e3", written).as_bytes())
        .expect("fits");
    assert_eq!(event.key, key);
}

#[rstest]
#[case(r#""revision":3"#, r#""revision":null"#)]
#[case(r#","revision":3"#, "")]
fn a_version_may_be_missing(#[case] from: &str, #[case] to: &str) {
    let event = shipment().check(SHIPMENT.replace(from, to).as_bytes()).expect("fits");
    assert_eq!(event.version, None);
}

#[test]
fn a_retry_that_writes_the_same_event_otherwise_has_the_same_digest() {
    let contract = purchase();
    let first = contract.check(PURCHASE.as_bytes()).expect("fits");
    let value: serde_json::Value = serde_json::from_str(PURCHASE).expect("JSON");
    let again = serde_json::to_string_pretty(&value)
        .expect("JSON")
        .replace("15.3", "15.300e0");
    assert_eq!(contract.check(again.as_bytes()).expect("fits"), first);
    let other = PURCHASE.replace("15.30", "15.31");
    assert_ne!(contract.check(other.as_bytes()).expect("fits").digest, first.digest);
}

#[rstest]
#[case::not_json("{\"a\"", "", Reason::MalformedJson)]
#[case::array("[]", "", Reason::NotAnObject)]
#[case::text("\"x\"", "", Reason::NotAnObject)]
#[case::missing(&PURCHASE.replace("\"order_id\":\"536365-1\",", ""), "/order_id", Reason::MissingField)]
#[case::null_where_none_is_allowed(&PURCHASE.replace("\"536365-1\"", "null"), "/order_id", Reason::TypeMismatch)]
#[case::not_in_enum(&PURCHASE.replace("United Kingdom", "Atlantis"), "/country", Reason::ValueNotAllowed)]
#[case::pattern(&PURCHASE.replace("0123456789abcdef", "xyz"), "/event_id", Reason::PatternMismatch)]
#[case::format(&PURCHASE.replace("2010-12-01T08:26:00Z", "2010-12-01 08:26"), "/ordered_at", Reason::FormatMismatch)]
#[case::no_such_day(&PURCHASE.replace("2010-12-01", "2010-02-30"), "/ordered_at", Reason::FormatMismatch)]
#[case::too_far_in_the_past(&PURCHASE.replace("2010-12-01", "1010-12-01"), "/ordered_at", Reason::TimeOutOfRange)]
#[case::too_small(&PURCHASE.replace("\"line_number\":1", "\"line_number\":0"), "/line_number", Reason::OutOfRange)]
#[case::fraction(&PURCHASE.replace("\"quantity\":6", "\"quantity\":6.5"), "/quantity", Reason::TypeMismatch)]
#[case::hidden_fraction(&PURCHASE.replace("\"quantity\":6", "\"quantity\":9007199254740993.5"), "/quantity", Reason::IntegerOutOfRange)]
#[case::huge_integer(&PURCHASE.replace("\"quantity\":6", "\"quantity\":9223372036854775808"), "/quantity", Reason::IntegerOutOfRange)]
#[case::would_round(&PURCHASE.replace("15.30", "15.305"), "/total_amount", Reason::DecimalDoesNotFit)]
#[case::too_many_digits(&PURCHASE.replace("15.30", "12345678901234567.00"), "/total_amount", Reason::DecimalDoesNotFit)]
#[case::twice(&PURCHASE.replace("\"quantity\":6", "\"quantity\":6,\"quantity\":6"), "/quantity", Reason::DuplicateField)]
#[case::empty_key(&PURCHASE.replace("536365-1", ""), "/order_id", Reason::LengthOutOfRange)]
fn an_event_that_does_not_fit_is_refused_with_field_and_reason(
    #[case] event: &str,
    #[case] field: &str,
    #[case] reason: Reason,
) {
    let refusal = refusal(event);
    assert_eq!((refusal.field.as_str(), &refusal.reason), (field, &reason), "{refusal}");
}

#[rstest]
#[case("\"12.5\"", "\"12.5x\"", Reason::NotADecimal)]
#[case("\"12.5\"", "\"12.5555\"", Reason::DecimalDoesNotFit)]
#[case("\"12.5\"", "\"1234567.0\"", Reason::DecimalDoesNotFit)]
fn a_decimal_may_be_a_string_and_is_as_exact(#[case] from: &str, #[case] to: &str, #[case] reason: Reason) {
    let refusal = shipment()
        .check(SHIPMENT.replace(from, to).as_bytes())
        .expect_err("does not fit");
    assert_eq!((refusal.field.as_str(), refusal.reason), ("/weight", reason));
}

#[test]
fn an_unknown_field_is_refused_only_where_the_contract_says_so() {
    assert!(
        purchase()
            .check(
                PURCHASE
                    .replace("{\"event_id\"", "{\"coupon\":{},\"event_id\"")
                    .as_bytes()
            )
            .is_ok()
    );
    let refusal = shipment()
        .check(SHIPMENT.replace("\"note\"", "\"coupon\"").as_bytes())
        .expect_err("not allowed");
    assert_eq!(
        (refusal.field.as_str(), refusal.reason),
        ("/coupon", Reason::UnknownField)
    );
}

#[test]
fn a_refusal_does_not_repeat_the_event() {
    let refusal = refusal(&PURCHASE.replace("United Kingdom", "secret address"));
    assert!(!refusal.to_string().contains("secret"), "{refusal}");
    assert!(refusal.message.len() <= 512);
}

#[rstest]
#[case::unknown("{\"NAME\":1,")]
#[case::twice("{\"NAME\":1,\"NAME\":1,")]
#[case::too_large("{\"NAME\":1e999,")]
fn a_name_of_any_length_makes_a_short_refusal(#[case] beginning: &str) {
    let event = SHIPMENT.replacen('{', &beginning.replace("NAME", &"é".repeat(50_000)), 1);
    let refusal = shipment().check(event.as_bytes()).expect_err("not allowed");
    assert!(
        refusal.field.starts_with("/é") && refusal.field.len() <= 512,
        "{}",
        refusal.field.len()
    );
    assert!(refusal.message.len() <= 512);
}

#[test]
fn an_event_that_the_table_cannot_hold_is_refused() {
    let padding = " ".repeat(MAX_EVENT_BYTES - PURCHASE.len());
    assert!(purchase().check(format!("{PURCHASE}{padding}").as_bytes()).is_ok());
    assert_eq!(refusal(&format!("{PURCHASE}{padding} ")).reason, Reason::EventTooLarge);
    let key = "k".repeat(2049);
    let event = SHIPMENT.replace("1e3", &format!("1{}", "0".repeat(18)));
    assert!(shipment().check(event.as_bytes()).is_ok());
    assert!(!refusal(&PURCHASE.replace("536365-1", &key)).reason.as_str().is_empty());
}

#[test]
fn bytes_that_are_not_text_are_refused() {
    let refusal = purchase().check(&[b'{', 0xff, b'}']).expect_err("not UTF-8");
    assert_eq!(refusal.reason, Reason::MalformedJson);
}
