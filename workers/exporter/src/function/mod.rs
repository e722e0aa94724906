//! The exporter as a function of AWS Lambda on the table's stream, with the same commits to the same table. Talks to `DynamoDB` and S3.
//!
//! ```text
//! event (what Lambda gives) -> taker { log: who holds the stream, where the shard stands;
//!                                      proof: nothing is missing before the batch } -> sink (files, one commit) -> answer
//! ```
//!
//! Lambda gives a shard's records in order and gives them again until they are answered. Nothing rests on that: the log
//! says what of a batch is new, and the stream itself is asked whether anything lies between the two.

mod answer;
mod event;
mod proof;
mod run;
mod taker;

pub use event::{Arrived, Batch, Invocation};
pub use run::start;
pub use taker::{Taken, Taker};
