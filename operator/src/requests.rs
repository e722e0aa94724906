//! Requests for a look at a pipeline, from whoever learns something new to the one who looks. No network.

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::key::PipelineKey;

/// How soon a look is wanted.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Urgency {
    /// Something happened.
    Now,
    /// Figures have moved: a few seconds may pass, so that many moves make one look.
    Soon,
}

/// A wish for a look at a pipeline.
#[derive(Debug, PartialEq)]
pub(crate) struct Request {
    pub key: PipelineKey,
    pub urgency: Urgency,
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
    pub fn ask(&self, key: PipelineKey, urgency: Urgency) {
        // The receiver lives until the end, when nobody needs to look any more.
        let _ = self.0.send(Request { key, urgency });
    }

    /// Asks for looks at once.
    pub fn ask_all(&self, keys: impl IntoIterator<Item = PipelineKey>) {
        for key in keys {
            self.ask(key, Urgency::Now);
        }
    }
}
