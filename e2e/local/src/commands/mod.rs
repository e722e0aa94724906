//! What a person types, one command per file. Touches the network only through what each command says.

pub mod down;
pub mod kill;
pub mod look;
pub mod ready;
pub mod status;
pub mod stories;
pub mod up;

pub use crate::context::Context;
