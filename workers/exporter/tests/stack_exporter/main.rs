//! The exporter between the local stack's `DynamoDB` and S3: killed, restarted, halted. Needs a running local stack.

mod shop;
mod stack;
mod stories;
