//! A user's password at the broker, by Kafka's own protocol, because `rdkafka` does not wrap the request. Loopback only.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const ALTER_USER_SCRAM_CREDENTIALS: i16 = 51;
const VERSION: i16 = 0;
const SHA_512: u8 = 2;
const ITERATIONS: i32 = 4096;
const SALT: &[u8] = b"0123456789abcdef";
/// Behind each structure of this request stands how many fields it has that its version does not know.
const NO_TAGS: u8 = 0;

/// A password, and what brokers keep of it: PBKDF2 with HMAC-SHA-512, the salt and the iterations above, in base64.
pub struct Password {
    pub text: &'static str,
    salted: &'static str,
}

pub const FIRST: Password = Password {
    text: "first-password",
    salted: "kAw7tyZv/hVilkLooEPSnw1Hv7nKi9JrBYIYA02g4hRDwDSW7ww1U9/zyaW30t3aT8GGerWsrKd6ru1mO19SiA==",
};
pub const SECOND: Password = Password {
    text: "second-password",
    salted: "DV4wj88oUCOJSx22Z0EsPB+pFoGPkyzj3vUD44vB151ureuggbMEiEnbvx64gGGicoqD3ojSkXk2RzDcoJUPiQ==",
};

/// Makes the user, or gives it another password. Whoever is connected stays so.
pub fn set(broker: &str, user: &str, password: &Password) -> Result<()> {
    let mut message = Vec::new();
    message.extend(ALTER_USER_SCRAM_CREDENTIALS.to_be_bytes());
    message.extend(VERSION.to_be_bytes());
    message.extend(7_i32.to_be_bytes());
    // A client without a name.
    message.extend((-1_i16).to_be_bytes());
    message.push(NO_TAGS);
    // No deletion and one change: counts and lengths are one more than what they are of.
    message.extend([1, 2]);
    push_bytes(&mut message, user.as_bytes())?;
    message.push(SHA_512);
    message.extend(ITERATIONS.to_be_bytes());
    push_bytes(&mut message, SALT)?;
    push_bytes(&mut message, &STANDARD.decode(password.salted)?)?;
    message.extend([NO_TAGS, NO_TAGS]);

    let mut stream = TcpStream::connect(broker)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(&i32::try_from(message.len())?.to_be_bytes())?;
    stream.write_all(&message)?;
    let mut length = [0; 4];
    stream.read_exact(&mut length)?;
    let mut answer = vec![0; usize::try_from(i32::from_be_bytes(length))?];
    stream.read_exact(&mut answer)?;
    // Correlation id, tags, throttle time, number of results, the user, its code.
    let code = 4 + 1 + 4 + 1 + 1 + user.len();
    ensure!(answer.get(code..code + 2) == Some(&[0, 0]), "{answer:?}");
    Ok(())
}

/// A length of one byte is enough for what stands here.
fn push_bytes(message: &mut Vec<u8>, bytes: &[u8]) -> Result<()> {
    let length = u8::try_from(bytes.len() + 1)?;
    ensure!(length < 0x80, "{length} bytes");
    message.push(length);
    message.extend(bytes);
    Ok(())
}
