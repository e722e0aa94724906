//! The shop's purchases: lines of a CSV file into events, one event a line, whatever the line looks like. Touches no network; reads a file.
//!
//! Nothing is dropped or repaired here: what is no number or no time goes out as the text it is, for the contract to refuse.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use medallion_crds::hex::hex;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::event::{Event, Identity, Pointers};

/// Where the shop is: its till writes local times.
const TIME_ZONE: &str = "Europe/London";
const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];

/// The purchases of the demo, shipped with the project.
pub fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/online-retail-2010-12-01-to-03.csv.gz")
}

/// Where the contract of the purchases has its key and id.
pub fn pointers() -> Pointers {
    Pointers {
        key: "/order_id".to_owned(),
        id: "/event_id".to_owned(),
    }
}

pub struct Purchases {
    pub path: PathBuf,
    /// SHA-256 of the unpacked file, hex.
    pub digest: String,
    /// Whether the file is UTF-8; else every byte is a Latin-1 character.
    pub is_utf8: bool,
    /// One event a line, in the order of the file.
    pub events: Vec<Event>,
}

impl Purchases {
    /// Reads a file, packed by gzip or not.
    pub fn read(path: &Path) -> Result<Self> {
        let bytes = unpacked(path).with_context(|| format!("cannot read {}", path.display()))?;
        let digest = hex(&Sha256::digest(&bytes));
        let is_utf8 = std::str::from_utf8(&bytes).is_ok();
        let text = if is_utf8 {
            String::from_utf8(bytes)?
        } else {
            bytes.iter().map(|byte| char::from(*byte)).collect()
        };
        let events = events(&text, &digest).with_context(|| format!("{}", path.display()))?;
        Ok(Self {
            path: path.to_path_buf(),
            digest,
            is_utf8,
            events,
        })
    }
}

fn unpacked(path: &Path) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut file = File::open(path)?;
    if path.extension().is_some_and(|extension| extension == "gz") {
        flate2::read::MultiGzDecoder::new(file).read_to_end(&mut bytes)?;
    } else {
        file.read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

fn events(text: &str, digest: &str) -> Result<Vec<Event>> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(text.as_bytes());
    let header = reader.headers()?.clone();
    let places = COLUMNS.map(|column| header.iter().position(|name| name == column));
    let missing: Vec<&str> = COLUMNS
        .iter()
        .zip(&places)
        .filter(|(_, place)| place.is_none())
        .map(|(column, _)| *column)
        .collect();
    if !missing.is_empty() {
        bail!("the columns {} are missing", missing.join(", "));
    }
    let zone = TimeZone::get(TIME_ZONE).context("the time zone data base")?;
    let mut lines_of_order: HashMap<String, u32> = HashMap::new();
    let mut events = Vec::new();
    for (index, record) in reader.records().enumerate() {
        let record = record?;
        let fields = places.map(|place| place.and_then(|place| record.get(place)).unwrap_or_default());
        let line_number = lines_of_order.entry(fields[0].to_owned()).or_default();
        *line_number += 1;
        events.push(event(&fields, *line_number, &event_id(digest, index + 1), &zone));
    }
    Ok(events)
}

/// Names one line of one file: the same line posted again is the same event.
fn event_id(digest: &str, line: usize) -> String {
    let mut id = hex(&Sha256::digest(format!("{digest}:{line}")));
    id.truncate(32);
    id
}

fn event(fields: &[&str; 8], line_number: u32, event_id: &str, zone: &TimeZone) -> Event {
    let [order, product, description, quantity, date, price, buyer, country] = *fields;
    let order_id = format!("{order}-{line_number}");
    let text = |text: &str| Value::from(text).to_string();
    let buyer = if buyer.is_empty() {
        "null".to_owned()
    } else {
        text(buyer)
    };
    let ordered_at = instant(date, zone).map_or_else(|| text(date), |instant| text(&instant));
    // The numbers stand in the event as the file has them, digit by digit.
    let number = |field: &str| {
        if Decimal::parse(field).is_some() {
            field.to_owned()
        } else {
            text(field)
        }
    };
    let total = match (Decimal::parse(quantity), Decimal::parse(price)) {
        (Some(quantity), Some(price)) => quantity.times(price).rounded_to_cents(),
        _ => "null".to_owned(),
    };
    let json = format!(
        "{{\"event_id\":\"{event_id}\",\"order_id\":{},\"line_number\":{line_number},\"buyer_id\":{buyer},\"product_id\":{},\
         \"description\":{},\"quantity\":{},\"unit_price\":{},\"total_amount\":{total},\"country\":{},\"ordered_at\":{ordered_at}}}",
        text(&order_id),
        text(product),
        text(description),
        number(quantity),
        number(price),
        text(country),
    );
    Event {
        identity: Identity {
            key: order_id,
            id: event_id.to_owned(),
        },
        text: json,
    }
}

/// The instant of a local time, RFC 3339 in UTC.
fn instant(local: &str, zone: &TimeZone) -> Option<String> {
    let form = ["%m/%d/%y %H:%M", "%m/%d/%Y %H:%M", "%Y-%m-%d %H:%M:%S"];
    let time = form.iter().find_map(|form| DateTime::strptime(form, local).ok())?;
    Some(zone.to_timestamp(time).ok()?.to_string())
}

/// A decimal number as its digits and how many of them stand behind the point.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Decimal {
    digits: i128,
    scale: u32,
}

impl Decimal {
    /// As JSON writes numbers, without an exponent: anything else is no number here.
    fn parse(text: &str) -> Option<Self> {
        let (negative, number) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
        let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
        let all_digits =
            |part: &str| !part.is_empty() && part.len() <= 15 && part.bytes().all(|byte| byte.is_ascii_digit());
        if !all_digits(whole) || !all_digits(fraction) || (whole.len() > 1 && whole.starts_with('0')) {
            return None;
        }
        let (fraction, scale) = if number.contains('.') {
            (fraction, u32::try_from(fraction.len()).ok()?)
        } else {
            ("", 0)
        };
        let digits: i128 = format!("{whole}{fraction}").parse().ok()?;
        Some(Self {
            digits: if negative { -digits } else { digits },
            scale,
        })
    }

    fn times(self, other: Self) -> Self {
        Self {
            digits: self.digits * other.digits,
            scale: self.scale + other.scale,
        }
    }

    /// Two digits behind the point, half away from zero.
    fn rounded_to_cents(self) -> String {
        let cents = if self.scale <= 2 {
            self.digits * 10_i128.pow(2 - self.scale)
        } else {
            let unit = 10_i128.pow(self.scale - 2);
            (self.digits.abs() + unit / 2) / unit * self.digits.signum()
        };
        let sign = if cents < 0 { "-" } else { "" };
        format!("{sign}{}.{:02}", cents.abs() / 100, cents.abs() % 100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_shipped_file_is_an_event() {
        let purchases = Purchases::read(&shipped()).unwrap();
        assert_eq!(purchases.events.len(), 7419);
        let identities: std::collections::BTreeSet<_> = purchases.events.iter().map(|event| &event.identity).collect();
        assert_eq!(identities.len(), 7419, "no two lines are the same event");
        let first: Value = serde_json::from_str(&purchases.events[0].text).unwrap();
        assert_eq!(first["order_id"], "536365-1");
        assert_eq!(first["ordered_at"], "2010-12-01T08:26:00Z");
        assert!(
            purchases.events[0]
                .text
                .contains("\"unit_price\":2.55,\"total_amount\":15.30")
        );
    }

    #[test]
    fn a_summer_order_is_an_hour_earlier_in_utc() {
        let zone = TimeZone::get(TIME_ZONE).unwrap();
        assert_eq!(instant("7/1/11 0:30", &zone).unwrap(), "2011-06-30T23:30:00Z");
        assert_eq!(instant("yesterday", &zone), None);
    }

    #[test]
    fn money_is_exact() {
        let total = |quantity: &str, price: &str| {
            Decimal::parse(quantity)
                .unwrap()
                .times(Decimal::parse(price).unwrap())
                .rounded_to_cents()
        };
        assert_eq!(total("3", "0.1"), "0.30");
        assert_eq!(total("-1", "27.5"), "-27.50");
        assert_eq!(total("1", "0.005"), "0.01");
        assert_eq!(total("-1", "0.005"), "-0.01");
        assert_eq!(total("7", "0"), "0.00");
    }

    #[test]
    fn what_is_no_number_stays_text() {
        for bad in ["", "-", "1.", ".5", "1e3", "01", "abc", "1,5"] {
            assert_eq!(Decimal::parse(bad), None, "{bad}");
        }
        let text = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n1,A,B,many,soon,free,,UK\n";
        let event = &events(text, "d").unwrap()[0];
        let json: Value = serde_json::from_str(&event.text).unwrap();
        assert_eq!(
            (&json["quantity"], &json["unit_price"]),
            (&"many".into(), &"free".into())
        );
        assert_eq!((&json["ordered_at"], &json["buyer_id"]), (&"soon".into(), &Value::Null));
    }

    #[test]
    fn a_file_without_the_columns_says_which() {
        let error = events("InvoiceNo,StockCode\n1,2\n", "d").unwrap_err().to_string();
        assert!(error.contains("Description, Quantity"), "{error}");
    }
}
