//! A service or a proxy that takes nothing: it notes the first line of each request and refuses it, in plain HTTP or behind TLS. Listens on loopback.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use anyhow::Result;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// File of the authority that has signed the certificate of those behind TLS. Its key is nowhere.
pub const AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates/authority.crt");
/// File of an authority that has signed nothing.
pub const OTHER_AUTHORITY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/certificates/other-authority.crt");

/// For `localhost`, good from 2020 until 2120.
const CERTIFICATE: &[u8] = include_bytes!("../certificates/localhost.crt");
const KEY: &[u8] = include_bytes!("../certificates/localhost.key");
const REFUSAL: &[u8] = b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

/// One that listens, as long as the process lives.
#[derive(Clone, Debug)]
pub struct Listener {
    address: SocketAddr,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Listener {
    /// In plain HTTP, as proxies are asked.
    pub fn plain() -> Result<Self> {
        Self::begin(None)
    }

    /// Behind TLS, with a certificate for `localhost` by [`AUTHORITY`].
    pub fn behind_tls() -> Result<Self> {
        let certificate = CertificateDer::from_pem_slice(CERTIFICATE)?;
        let key = PrivateKeyDer::from_pem_slice(KEY)?;
        let configuration = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![certificate], key)?;
        Self::begin(Some(Arc::new(configuration)))
    }

    fn begin(tls: Option<Arc<ServerConfig>>) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let begun = Self {
            address: listener.local_addr()?,
            lines: Arc::default(),
        };
        let lines = Arc::clone(&begun.lines);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Whoever goes before its answer, as one that does not trust the certificate, needs none.
                let _ = match &tls {
                    None => refuse(stream, &lines),
                    Some(tls) => ServerConnection::new(Arc::clone(tls))
                        .map_err(io::Error::other)
                        .and_then(|connection| refuse(StreamOwned::new(connection, stream), &lines)),
                };
            }
        });
        Ok(begun)
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL by the name in its certificate.
    pub fn secure_url(&self) -> String {
        format!("https://localhost:{}", self.address.port())
    }

    /// The first lines of the requests that have come.
    pub fn heard(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn refuse(mut connection: impl Read + Write, lines: &Mutex<Vec<String>>) -> io::Result<()> {
    let mut line = String::new();
    BufReader::new(&mut connection).read_line(&mut line)?;
    let line = line.trim_end();
    // A port that is only looked at has no request.
    if !line.is_empty() {
        lines
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line.to_owned());
    }
    connection.write_all(REFUSAL)?;
    connection.flush()
}
