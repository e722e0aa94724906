//! The exporter: changes of a `DynamoDB` table, from its stream, to the Bronze table, positions inside the commit. Talks to `DynamoDB` and S3.
//!
//! ```text
//! source (shards, pages) -> reader per shard -> walk { lineage: what may be read, and where it stands;
//!                                                     flush: when to write }    -> sink (files, one commit)
//! ```
//!
//! [`engine`] holds the parts and begins; [`walk`] is the engine under way. Where a function does the work ([`function`]), the
//! engine hands the stream over in the log ([`hold`]) and only observes ([`watch`]).
//!
//! The Bronze table's log is the only record of progress. Whatever is not committed is read again after a start, and a
//! commit holds the rows and the shards' positions together, so nothing is lost and nothing is there twice.

mod bronze;
mod clock;
mod dynamodb;
mod engine;
mod flush;
mod function;
mod hold;
mod item;
mod lineage;
mod message;
mod metrics;
mod position;
mod reader;
mod run;
mod sequence;
mod settings;
mod sink;
mod source;
mod trouble;
mod walk;
mod watch;

pub use bronze::{BETWEEN_PUT_AND_COMMIT, BronzeSink};
pub use clock::Clock;
pub use dynamodb::DynamoDbSource;
pub use engine::{Engine, EngineSettings};
pub use flush::FlushRule;
pub use function::{Arrived, Batch, Invocation, Taken, Taker, start as start_function};
pub use item::StreamRecord;
pub use lineage::{Lineage, Listed, LossRisk, RETENTION, Start};
pub use metrics::ExporterMetrics;
pub use position::{Committed, Pending, Position, StreamPosition};
pub use run::run;
pub use sequence::Sequence;
pub use sink::{Flushed, Seen, Sink, SinkError};
pub use source::{Listing, PAGE_RECORDS, Page, SourceError, StreamSource};
