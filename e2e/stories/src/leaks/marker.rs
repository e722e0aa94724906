//! A secret as it is looked for, and where it was found. Touches no network.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::Secret;
use kube::ResourceExt;

use super::places::Place;

/// Keys of what is said openly.
const OPEN: [&str; 5] = ["AWS_ACCESS_KEY_ID", "ca.crt", "namespace", "tls.crt", "username"];
/// What is shorter could stand anywhere by chance.
const SHORTEST: usize = 12;

/// A value of a Secret.
pub struct Marker {
    secret: String,
    key: String,
    /// As it is, and as Kubernetes and HTTP write it.
    forms: Vec<String>,
}

impl Marker {
    /// All values of a Secret that nobody may see.
    pub fn of(secret: &Secret) -> Vec<Self> {
        let name = secret.name_any();
        let values = secret.data.iter().flatten();
        values
            .filter(|(key, _)| !OPEN.contains(&key.as_str()))
            .filter_map(|(key, value)| Self::new(&name, key, &value.0))
            .collect()
    }

    /// `None`: too short to be looked for. Of a value of several lines, as a key in PEM is one, the longest stands for all.
    pub fn new(secret: &str, key: &str, value: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(value);
        let line = text.lines().map(str::trim).max_by_key(|line| line.len())?;
        (line.len() >= SHORTEST).then(|| Self {
            secret: secret.to_owned(),
            key: key.to_owned(),
            forms: vec![line.to_owned(), STANDARD.encode(value), STANDARD.encode(line)],
        })
    }

    pub fn has_key(&self, key: &str) -> bool {
        self.key == key
    }

    pub fn stands_in(&self, secret: &str, key: &str) -> bool {
        self.secret == secret && self.has_key(key)
    }

    fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form))
    }
}

/// A secret that stands somewhere.
pub struct Finding<'f> {
    pub marker: &'f Marker,
    pub place: &'f Place,
}

/// The value itself is not repeated.
impl fmt::Display for Finding<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (marker, place) = (self.marker, self.place);
        write!(
            formatter,
            "{} of Secret {} stands in {:?}: {}",
            marker.key, marker.secret, place.kind, place.name
        )
    }
}

/// Each secret in each place, but for those that are meant to be there.
pub fn findings<'f>(
    markers: &'f [Marker],
    places: &'f [Place],
    is_meant: impl Fn(&Marker, &Place) -> bool,
) -> Vec<Finding<'f>> {
    let pairs = places
        .iter()
        .flat_map(|place| markers.iter().map(move |marker| Finding { marker, place }));
    pairs
        .filter(|found| found.marker.is_in(&found.place.text) && !is_meant(found.marker, found.place))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_secret_is_looked_for_and_what_is_said_openly_is_not() {
        let secret: Secret = serde_json::from_value(json!({
            "metadata": {"name": "brokers"},
            "data": {"username": STANDARD.encode("a-long-user-name"), "password": STANDARD.encode("owner-password"), "pin": STANDARD.encode("1234")},
        }))
        .unwrap();
        let markers = Marker::of(&secret);
        assert_eq!(markers.len(), 1);
        assert!(markers[0].stands_in("brokers", "password"));
    }

    #[test]
    fn a_secret_is_found_as_it_is_and_in_base64() {
        let key = b"-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END KEY-----\n";
        let marker = Marker::new("tls", "tls.key", key).unwrap();
        assert!(marker.is_in("a line MIIEvQIBADANBgkqhkiG9w0BAQEF of it"));
        assert!(marker.is_in(&format!("{{\"tls.key\": \"{}\"}}", STANDARD.encode(key))));
        assert!(!marker.is_in("-----BEGIN KEY-----"));
    }
}
