//! The exporter between the local stack's `DynamoDB` and S3: killed, restarted, halted, and as a function under AWS's own emulator.
//! Needs a running local stack.

mod emulator;
mod functions;
mod gate;
mod shop;
mod stack;
mod stories;
