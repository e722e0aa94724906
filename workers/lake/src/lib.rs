//! The commit protocol over Delta Lake tables: snapshot, append with positions, replace partitions, changes since. Talks to object storage.
//!
//! A table belongs to one writer at a time, and its log is the only truth about it:
//!
//! - A table names its owner in the property [`OWNER_PROPERTY`], set by the commit that makes it. Writers work through an
//!   [`OwnedTable`], which refuses another's; taking one over is a commit of its own, and only where a [`Claim`] says so.
//! - A [`Change`] carries its files and the *positions* that say which input they cover (Delta domain metadata), in one
//!   commit. A commit is the conditional creation of the next log entry, so among racing writers exactly one wins.
//! - Anything but a clear "committed" is answered by reading the log again: the new positions are there
//!   ([`Outcome::AlreadyCommitted`]), the old ones still are (try again), or somebody else's are ([`Outcome::Conflict`]).
//! - Files are uploaded first, conditionally, under names that no other process uses. What is not in the log does not
//!   exist; a crash between upload and commit leaves an orphan and nothing else.
//! - The schema of every file is checked against the table's, and its presence in the store, before it is committed.
//!
//! The handles are cheap to clone and may be used from any task of a multi-thread Tokio runtime.

mod bucket;
mod change;
mod checkpoint;
mod commit;
mod credentials;
mod error;
mod file;
mod history;
mod identity;
mod object;
mod owned;
mod owner;
mod partition;
mod s3;
mod schema;
mod snapshot;
mod store;
mod table;
mod versions;

pub use change::{Change, Remove};
pub use checkpoint::CHECKPOINT_EVERY;
pub use commit::Outcome;
pub use error::LakeError;
pub use file::NewFile;
pub use history::Changes;
pub use object::Pieces;
pub use owned::OwnedTable;
pub use owner::{Claim, Judgement, judge};
pub use partition::{PartitionValues, partition_folder};
pub use s3::S3Addressing;
pub use snapshot::{DataFile, OWNER_PROPERTY, Snapshot};
pub use store::LakeStore;
pub use table::Table;
