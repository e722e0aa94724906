//! The contract as its users see it: writing one, checking events, laying out Bronze. No network.

mod additive;
mod bronze;
mod checking;
mod compiling;
mod examples;
