//! What identifies a topic and a consumer group beyond their names, the topic's id and the stamp beside each committed offset; what a client may do with them; and how offsets are committed. Asks the brokers; commits.
//!
//! A topic that is deleted and made again keeps its name, and an offset of the old one looks like an offset of the new one.
//! So an offset is committed with a [`Stamp`]: whose it is, and of which topic by id.

mod ask;
mod operation;
mod stamp;

pub use ask::{
    GroupOffset, TopicDescription, commit_later, describe_topic, give_token, group_offsets, group_operations, topic_id,
};
pub use operation::Operation;
pub use stamp::{Stamp, adoption_of};
