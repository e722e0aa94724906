//! Requests for a look at a pipeline, from whoever learns something new to the one who looks. No network.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::key::PipelineKey;

/// How soon a look is wanted; the more urgent comes last.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Urgency {
    /// Figures have moved, or the operator's own writes have come back: a few seconds may pass, so that many moves make one look.
    Soon,
    /// Something happened that somebody waits for.
    Now,
}

/// A wish for a look at a pipeline.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Request {
    pub key: PipelineKey,
    pub urgency: Urgency,
}

impl Request {
    /// Something happened to a pipeline.
    pub const fn now(key: PipelineKey) -> Self {
        Self {
            key,
            urgency: Urgency::Now,
        }
    }
}

/// Where looks are asked for.
#[derive(Clone)]
pub(crate) struct Requests(UnboundedSender<Request>);

impl Requests {
    /// Both ends. The receiver may grow to one entry per event at most: it is emptied faster than the API server sends.
    pub fn channel() -> (Self, UnboundedReceiver<Request>) {
        let (sender, receiver) = unbounded_channel();
        (Self(sender), receiver)
    }

    /// Asks for a look.
    pub fn ask(&self, request: Request) {
        // The receiver lives until the end, when nobody needs to look any more.
        let _ = self.0.send(request);
    }

    /// Asks for looks at once.
    pub fn ask_all(&self, keys: impl IntoIterator<Item = PipelineKey>) {
        for key in keys {
            self.ask(Request::now(key));
        }
    }
}
