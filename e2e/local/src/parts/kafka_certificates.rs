//! Who signs whom for the brokers' secure listeners: what is right, and one of each thing that is wrong. Touches no network.

use std::fs;

use anyhow::Result;

use crate::openssl::{self, Certificate, Validity};
use crate::stack::{KAFKA_OWNER, Stack};

/// Signs the brokers' certificates.
const BROKERS_AUTHORITY: &str = "brokers-ca";
/// Signs those of clients.
pub const CLIENTS_AUTHORITY: &str = "clients-ca";
/// Signs what nobody trusts.
const OTHER_AUTHORITY: &str = "other-ca";

pub const BROKER: &str = "broker";
pub const EXPIRED_BROKER: &str = "expired-broker";
pub const ELSEWHERE: &str = "elsewhere";

/// All of them, once for a stack.
pub fn make(stack: &Stack) -> Result<()> {
    let folder = stack.kafka_certificates();
    let whole = folder.join("whole");
    if whole.exists() {
        return Ok(());
    }
    openssl::folder(&folder)?;
    for authority in [BROKERS_AUTHORITY, CLIENTS_AUTHORITY, OTHER_AUTHORITY] {
        openssl::authority(&folder, authority, &format!("/CN={authority}"))?;
    }
    let ours = format!("DNS:localhost,IP:127.0.0.1,IP:{}", stack.node_ip());
    let elsewhere = "DNS:elsewhere.example".to_owned();
    for (name, names, validity) in [
        (BROKER, ours.clone(), Validity::Year),
        (EXPIRED_BROKER, ours, Validity::Over),
        (ELSEWHERE, elsewhere, Validity::Year),
    ] {
        let subject = "/CN=broker".to_owned();
        let wanted = Certificate {
            name,
            subject,
            names,
            validity,
        };
        openssl::issue(&folder, BROKERS_AUTHORITY, &wanted)?;
        // Kafka wants key and certificate in one file.
        let text = [format!("{name}.key"), format!("{name}.crt")].map(|file| fs::read_to_string(folder.join(file)));
        let [key, certificate] = text;
        fs::write(folder.join(format!("{name}.pem")), key? + &certificate?)?;
    }
    for (name, subject, authority, validity) in [
        ("shop", "/CN=shop", CLIENTS_AUTHORITY, Validity::Year),
        ("shop-2", "/CN=shop-2", CLIENTS_AUTHORITY, Validity::Year),
        ("shop-3", "/CN=shop-3", CLIENTS_AUTHORITY, Validity::Year),
        (KAFKA_OWNER, "/CN=owner", CLIENTS_AUTHORITY, Validity::Year),
        ("expired-shop", "/CN=shop", CLIENTS_AUTHORITY, Validity::Over),
        ("stranger", "/CN=shop", OTHER_AUTHORITY, Validity::Year),
    ] {
        let wanted = Certificate {
            name,
            subject: subject.to_owned(),
            names: String::new(),
            validity,
        };
        openssl::issue(&folder, authority, &wanted)?;
    }
    fs::write(whole, "")?;
    Ok(())
}
