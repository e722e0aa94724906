//! What stands in tests for parts of AWS that are none on this machine: what invokes a function with a stream's records, services and proxies to be asked. Loopback, and the stream of the local stack.
//!
//! For tests of workers and for the stories alike, so it knows nothing of the product.

pub mod listener;
pub mod mapping;
pub mod process;
