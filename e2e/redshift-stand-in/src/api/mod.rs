//! The Data API's operations; touches no network itself.

pub mod answers;
pub mod call;
pub mod caller;
pub mod describe;
pub mod error;
pub mod list;
pub mod requests;
pub mod results;
pub mod service;
pub mod submit;
