//! Serves the files of one run to the dbt process, read-only. Listens on loopback, reads object storage.
//!
//! The process has no credentials and knows no bucket: it reads what its views name, by ranges, from here, and nothing else
//! is here. The pod's other containers do not know the word in the path.

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::serve::ListenerExt;
use futures::TryStreamExt;
use medallion_lake::{LakeError, LakeStore, Pieces};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::error::RunError;
use crate::protocol::File;

/// A server that lives as long as its run.
#[derive(Debug)]
pub struct Reader {
    base: String,
    shelf: Arc<Shelf>,
    server: JoinHandle<()>,
}

#[derive(Debug)]
struct Shelf {
    store: LakeStore,
    word: String,
    files: Mutex<Files>,
    failure: Mutex<Option<String>>,
}

/// The files that may be asked for, by number.
#[derive(Debug, Default)]
struct Files {
    numbers: HashMap<String, usize>,
    offered: Vec<Offered>,
}

#[derive(Clone, Debug)]
struct Offered {
    address: String,
    size: u64,
}

impl Reader {
    /// Listens on a port of its own, and serves nothing yet.
    pub async fn start(store: LakeStore) -> Result<Self, RunError> {
        let failed =
            |error: std::io::Error| RunError::Process(format!("cannot be served the lake on loopback: {error}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let word = uuid::Uuid::new_v4().simple().to_string();
        let base = format!("http://{address}/{word}/");
        let shelf = Arc::new(Shelf {
            store,
            word,
            files: Mutex::default(),
            failure: Mutex::default(),
        });
        let router = Router::new()
            .route("/{word}/{number}/{name}", get(content).head(size))
            .with_state(Arc::clone(&shelf));
        // Heads and ends of files are small, and many.
        let listener = listener.tap_io(|stream| {
            if let Err(error) = stream.set_nodelay(true) {
                tracing::debug!(%error, "no-delay not set");
            }
        });
        let server = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::error!(%error, "the lake is not served any more");
            }
        });
        Ok(Self { base, shelf, server })
    }

    /// Where everything offered lies, with a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// Offers a file of the lake, and puts the address in its place at which it is served; always the same one.
    pub fn offer(&self, file: &mut File) {
        let mut files = self.shelf.files();
        let next = files.offered.len();
        let number = *files.numbers.entry(file.url.clone()).or_insert(next);
        let served = format!("{}{number}/{}", self.base, plain_name(&file.url));
        let address = std::mem::replace(&mut file.url, served);
        if number == next {
            files.offered.push(Offered {
                address,
                size: file.size,
            });
        }
    }

    /// What object storage said last when a file could not be read: the process hears of a number alone.
    pub fn failure(&self) -> Option<String> {
        self.shelf
            .failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shelf {
    fn files(&self) -> std::sync::MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a request asks for, if it is here.
    fn find(&self, word: &str, number: usize) -> Option<Offered> {
        let known = word == self.word;
        self.files().offered.get(number).filter(|_| known).cloned()
    }

    fn failed(&self, error: &LakeError) {
        tracing::warn!(%error, "a file of the lake was not read");
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *failure = Some(error.to_string());
    }
}

type Asked = Path<(String, usize, String)>;

/// The log says how large a file is: nobody else is asked.
async fn size(State(shelf): State<Arc<Shelf>>, Path((word, number, _)): Asked) -> Response {
    match shelf.find(&word, number) {
        Some(file) => (about(number, file.size), ()).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn content(State(shelf): State<Arc<Shelf>>, Path((word, number, _)): Asked, headers: HeaderMap) -> Response {
    let Some(file) = shelf.find(&word, number) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let asked = headers
        .get(header::RANGE)
        .map(|value| value.to_str().unwrap_or_default());
    let Some(range) = range(asked, file.size) else {
        return StatusCode::RANGE_NOT_SATISFIABLE.into_response();
    };
    let length = range.end - range.start;
    let place = format!("bytes {}-{}/{}", range.start, range.end.saturating_sub(1), file.size);
    match shelf.store.read(&file.address, range).await {
        Ok(pieces) => {
            let body = passed_on(&shelf, pieces);
            if asked.is_some() {
                let place = [(header::CONTENT_RANGE, place)];
                (StatusCode::PARTIAL_CONTENT, about(number, length), place, body).into_response()
            } else {
                (about(number, length), body).into_response()
            }
        }
        Err(error) => {
            shelf.failed(&error);
            // DuckDB tries this one again.
            StatusCode::SERVICE_UNAVAILABLE.into_response()
        }
    }
}

/// The bytes as they come. Where they break off the answer does, too, which `DuckDB` sees by its length.
fn passed_on(shelf: &Arc<Shelf>, pieces: Pieces) -> Body {
    let shelf = Arc::clone(shelf);
    Body::from_stream(pieces.inspect_err(move |error| shelf.failed(error)))
}

/// What is said of a file, or of a part of it that has so many bytes. DuckDB keeps what it has read of a file, its footer above
/// all, only if it is told by a tag that the file is the same still; a file of the lake always is.
fn about(number: usize, length: u64) -> [(header::HeaderName, String); 3] {
    [
        (header::ACCEPT_RANGES, "bytes".to_owned()),
        (header::CONTENT_LENGTH, length.to_string()),
        (header::ETAG, format!("\"{number}\"")),
    ]
}

/// The bytes that a request asks for, `bytes=first-last` or `bytes=first-`; without a header all. `None`: there are none such.
fn range(header: Option<&str>, size: u64) -> Option<Range<u64>> {
    let Some(header) = header else {
        return Some(0..size);
    };
    let (first, last) = header.strip_prefix("bytes=")?.split_once('-')?;
    let first: u64 = first.parse().ok()?;
    let last: u64 = if last.is_empty() { u64::MAX } else { last.parse().ok()? };
    let end = last.saturating_add(1).min(size);
    (first < end).then_some(first..end)
}

/// The end of an address, for whoever reads a message about it; no character of it means anything to `DuckDB` or in a URL.
fn plain_name(address: &str) -> String {
    let name = address.rsplit('/').next().unwrap_or_default();
    let plain = |letter: &char| letter.is_ascii_alphanumeric() || matches!(letter, '.' | '-' | '_');
    let name: String = name.chars().filter(plain).collect();
    if name.trim_matches('.').is_empty() {
        "file".to_owned()
    } else {
        name
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::{Method, Request};
    use futures::{StreamExt, stream};
    use rstest::rstest;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    use super::*;

    #[rstest]
    #[case::all(None, Some(0..10))]
    #[case::some(Some("bytes=2-4"), Some(2..5))]
    #[case::to_the_end(Some("bytes=7-"), Some(7..10))]
    #[case::beyond(Some("bytes=7-99"), Some(7..10))]
    #[case::nothing_there(Some("bytes=10-12"), None)]
    #[case::backwards(Some("bytes=4-2"), None)]
    #[case::no_range(Some("lines=1-2"), None)]
    fn ranges_are_those_of_the_file(#[case] header: Option<&str>, #[case] expected: Option<Range<u64>>) {
        assert_eq!(range(header, 10), expected);
    }

    #[rstest]
    #[case("s3://b/orders/part_date=a b/run-1_00.parquet", "run-1_00.parquet")]
    #[case("s3://b/orders/what?*[0-9]#.parquet", "what0-9.parquet")]
    #[case("s3://b/orders/..", "file")]
    fn a_name_means_nothing_but_itself(#[case] address: &str, #[case] expected: &str) {
        assert_eq!(plain_name(address), expected);
    }

    /// One request over a connection of its own, and the whole answer.
    async fn ask(method: Method, url: &str, range: Option<&str>) -> String {
        let request = Request::builder().method(method).uri(url).body(()).expect("a request");
        let (uri, method) = (request.uri(), request.method());
        let host = uri.authority().expect("a host");
        let range = range.map(|range| format!("range: {range}\r\n")).unwrap_or_default();
        let head = format!(
            "{method} {} HTTP/1.1\r\nhost: {host}\r\n{range}connection: close\r\n\r\n",
            uri.path()
        );
        let mut stream = TcpStream::connect(host.as_str()).await.expect("a connection");
        stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        answer.to_lowercase()
    }

    async fn serving(folder: &std::path::Path) -> (Reader, File) {
        std::fs::write(folder.join("a.parquet"), "0123456789").expect("written");
        let reader = Reader::start(LakeStore::local().expect("a store"))
            .await
            .expect("a port");
        let mut file = File {
            url: format!("file://{}/a.parquet", folder.display()),
            size: 10,
            partition: medallion_lake::PartitionValues::new(),
        };
        reader.offer(&mut file);
        (reader, file)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_was_offered_is_served_by_ranges_at_one_address() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, file) = serving(folder.path()).await;
        assert!(file.url.starts_with(reader.base()), "{}", file.url);
        let mut again = File {
            url: format!("file://{}/a.parquet", folder.path().display()),
            ..file.clone()
        };
        reader.offer(&mut again);
        assert_eq!(again, file);

        let head = ask(Method::HEAD, &file.url, None).await;
        assert!(
            head.starts_with("http/1.1 200") && head.contains("content-length: 10\r\n"),
            "{head}"
        );
        let part = ask(Method::GET, &file.url, Some("bytes=3-5")).await;
        assert!(
            part.starts_with("http/1.1 206") && part.contains("etag: \"0\"\r\n"),
            "{part}"
        );
        assert!(
            part.contains("content-range: bytes 3-5/10\r\n") && part.ends_with("\r\n345"),
            "{part}"
        );
        let whole = ask(Method::GET, &file.url, None).await;
        assert!(
            whole.starts_with("http/1.1 200") && whole.ends_with("\r\n0123456789"),
            "{whole}"
        );
        assert_eq!(reader.failure(), None);
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn nothing_else_is_served_and_nothing_is_taken() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, file) = serving(folder.path()).await;
        let other = file.url.replacen("/0/", "/1/", 1);
        let guessed = file.url.replacen(&reader.shelf.word, "guessed", 1);
        for (method, url, status) in [
            (Method::GET, &other, "404"),
            (Method::HEAD, &guessed, "404"),
            (Method::GET, &guessed, "404"),
            (Method::PUT, &file.url, "405"),
            (Method::DELETE, &file.url, "405"),
        ] {
            let answer = ask(method.clone(), url, None).await;
            assert!(
                answer.starts_with(&format!("http/1.1 {status}")),
                "{method} {url}: {answer}"
            );
        }
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_object_storage_says_is_kept_for_the_report() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, file) = serving(folder.path()).await;
        std::fs::remove_file(folder.path().join("a.parquet")).expect("removed");
        let answer = ask(Method::GET, &file.url, Some("bytes=0-3")).await;
        assert!(answer.starts_with("http/1.1 503"), "{answer}");
        assert!(reader.failure().is_some_and(|words| words.contains("a.parquet")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn of_a_file_that_is_shorter_than_its_log_says_there_is_no_short_answer() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, file) = serving(folder.path()).await;
        std::fs::write(folder.path().join("a.parquet"), "01234").expect("written");
        let answer = ask(Method::GET, &file.url, Some("bytes=3-7")).await;
        assert!(answer.starts_with("http/1.1 503"), "{answer}");
        assert!(reader.failure().is_some_and(|words| words.contains("it has 5 bytes")));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_breaks_off_in_the_middle_is_kept_for_the_report() {
        let folder = tempfile::tempdir().expect("a folder");
        let (reader, _) = serving(folder.path()).await;
        let broken = LakeError::Internal("connection reset".to_owned());
        let pieces = stream::iter([Ok(Bytes::from_static(b"012")), Err(broken)]).boxed();
        let read = axum::body::to_bytes(passed_on(&reader.shelf, pieces), 10).await;
        assert!(read.is_err(), "{read:?}");
        assert!(reader.failure().is_some_and(|words| words.contains("connection reset")));
    }
}
