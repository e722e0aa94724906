//! Two contracts that have nothing in common: what holds for both is not about purchases. No network.

use std::sync::Arc;

use medallion_contract::{Contract, Pointers};

pub fn purchase() -> Arc<Contract> {
    let pointers = Pointers {
        key: "/order_id",
        event_id: "/event_id",
        event_time: "/ordered_at",
        event_version: None,
    };
    Arc::new(Contract::compile(include_str!("schemas/purchase.json"), &pointers).expect("a contract"))
}

pub fn shipment() -> Arc<Contract> {
    let pointers = Pointers {
        key: "/order/number",
        event_id: "/sequence",
        event_time: "/weighed_at",
        event_version: Some("/revision"),
    };
    Arc::new(Contract::compile(include_str!("schemas/shipment.json"), &pointers).expect("a contract"))
}

pub const PURCHASE: &str = r#"{"event_id":"0123456789abcdef0123456789abcdef","order_id":"536365-1","line_number":1,"buyer_id":"17850","product_id":"85123A","description":"WHITE HANGING HEART T-LIGHT HOLDER","quantity":6,"unit_price":2.55,"total_amount":15.30,"country":"United Kingdom","ordered_at":"2010-12-01T08:26:00Z"}"#;

pub const SHIPMENT: &str = r#"{"sequence":7,"order":{"number":1e3,"lines":[1, 2]},"weighed_at":"2024-05-06T07:08:09.123456789+02:00","weight":"12.5","revision":3,"due":"2024-02-29","fragile":false,"height":0.1,"note":"a\"b"}"#;
