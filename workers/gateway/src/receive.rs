//! Takes a request's body in, within bounds of size, memory and time. Reads from the client's connection.

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use flate2::read::MultiGzDecoder;
use http::header::{ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, timeout, timeout_at};

use crate::body::Form;
use crate::problem::Problem;

/// How the body is written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Media {
    pub(crate) form: Form,
    gzip: bool,
}

impl Media {
    /// From the request's headers, or 415.
    pub(crate) fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let text = |name| {
            headers
                .get(name)
                .map(|value| value.to_str().unwrap_or("unreadable").trim())
        };
        let media_type = text(CONTENT_TYPE)
            .unwrap_or_default()
            .split(';')
            .next()
            .unwrap_or_default()
            .trim();
        let form = match media_type.to_ascii_lowercase().as_str() {
            "application/json" => Form::Json,
            "application/x-ndjson" => Form::Lines,
            _ => {
                let detail = "Content-Type must be application/json or application/x-ndjson";
                return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail)
                    .with_header(ACCEPT, "application/json, application/x-ndjson"));
            }
        };
        let gzip = match text(CONTENT_ENCODING)
            .unwrap_or("identity")
            .to_ascii_lowercase()
            .as_str()
        {
            "identity" => false,
            "gzip" | "x-gzip" => true,
            _ => {
                let detail = "Content-Encoding must be gzip or left out";
                return Err(
                    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail).with_header(ACCEPT_ENCODING, "gzip")
                );
            }
        };
        Ok(Self { form, gzip })
    }
}

/// A client that has its answer before it has sent its body may send on for so long, and so much.
const SWALLOW_TIME: Duration = Duration::from_secs(1);
const SWALLOW_BYTES: usize = 64 * 1024 * 1024;
/// So many bytes are decompressed before other requests get their turn on this thread.
const BYTES_PER_TURN: usize = 256 * 1024;

/// A body on its way.
pub(crate) struct Upload {
    body: Body,
    /// Whether it has been asked for; a client that announces an expectation sends nothing before.
    asked: bool,
}

impl Upload {
    pub(crate) const fn new(body: Body) -> Self {
        Self { body, asked: false }
    }
}

/// A body in memory, and the room it takes until the request is answered.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    _room: Room,
}

/// Reads and decompresses the body.
pub(crate) async fn receive(
    headers: &HeaderMap,
    body: &mut Upload,
    media: Media,
    max_bytes: usize,
    buffer: &Arc<Semaphore>,
    deadline: Instant,
) -> Result<Received, Problem> {
    let announced = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok()?.parse::<usize>().ok());
    if announced.is_some_and(|length| length > max_bytes) {
        return Err(too_large(max_bytes));
    }
    let mut room = Room {
        buffer: buffer.clone(),
        permit: None,
    };
    let bytes = timeout_at(deadline, collect(body, max_bytes, &mut room))
        .await
        .map_err(|_| {
            Problem::new(
                StatusCode::REQUEST_TIMEOUT,
                "the body did not arrive in time; send smaller requests",
            )
        })??;
    let bytes = if media.gzip {
        decompress(&bytes, max_bytes, &mut room).await?
    } else {
        bytes
    };
    Ok(Received {
        bytes: bytes.into(),
        _room: room,
    })
}

/// Takes in what a refused client still sends, and throws it away: were its connection closed before it has sent
/// everything, it would see that and not the answer.
pub(crate) async fn swallow(headers: &HeaderMap, body: &mut Upload) {
    if headers.contains_key(EXPECT) && !body.asked {
        return;
    }
    let rest = async {
        let mut swallowed = 0;
        while let Some(Ok(frame)) = body.body.frame().await {
            swallowed += frame.data_ref().map_or(0, Bytes::len);
            if swallowed > SWALLOW_BYTES {
                break;
            }
        }
    };
    // A client that takes longer is not waited for.
    let _ = timeout(SWALLOW_TIME, rest).await;
}

async fn collect(body: &mut Upload, max_bytes: usize, room: &mut Room) -> Result<Vec<u8>, Problem> {
    body.asked = true;
    let mut bytes = Vec::new();
    while let Some(frame) = body.body.frame().await {
        let frame =
            frame.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        if bytes.len() + data.len() > max_bytes {
            return Err(too_large(max_bytes));
        }
        room.take(data.len())?;
        bytes.extend_from_slice(&data);
    }
    Ok(bytes)
}

async fn decompress(compressed: &[u8], max_bytes: usize, room: &mut Room) -> Result<Vec<u8>, Problem> {
    let mut decoder = MultiGzDecoder::new(compressed);
    let mut bytes = Vec::new();
    // Not on the stack: it lives across turns.
    let mut chunk = vec![0; 16 * 1024];
    let mut next_turn = BYTES_PER_TURN;
    loop {
        if bytes.len() >= next_turn {
            next_turn += BYTES_PER_TURN;
            tokio::task::yield_now().await;
        }
        let length = decoder
            .read(&mut chunk)
            .map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("the body is not gzip: {error}")))?;
        if length == 0 {
            return Ok(bytes);
        }
        if bytes.len() + length > max_bytes {
            return Err(too_large(max_bytes));
        }
        room.take(length)?;
        bytes.extend_from_slice(&chunk[..length]);
    }
}

fn too_large(max_bytes: usize) -> Problem {
    let detail =
        format!("the body has more than {max_bytes} bytes, also counted after decompression; send smaller requests");
    Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail)
}

/// Share of the memory that all requests have together.
struct Room {
    buffer: Arc<Semaphore>,
    permit: Option<OwnedSemaphorePermit>,
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), Problem> {
        let full = || {
            Problem::new(
                StatusCode::SERVICE_UNAVAILABLE,
                "too many requests are waiting for the broker; send again later",
            )
        };
        let bytes = u32::try_from(bytes).map_err(|_| full())?;
        let permit = self.buffer.clone().try_acquire_many_owned(bytes).map_err(|_| full())?;
        match &mut self.permit {
            Some(held) => held.merge(permit),
            None => self.permit = Some(permit),
        }
        Ok(())
    }
}
