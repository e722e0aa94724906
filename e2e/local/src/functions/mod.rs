//! The product's functions for AWS Lambda: programs from the images' own build for the tests, and packages for both architectures. Touches
//! the network only when something is fetched.

mod bootstrap;
mod function;
mod pack;
mod runtime;

pub use bootstrap::bootstraps;
pub use pack::{Which, pack};
