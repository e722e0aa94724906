//! The HTTP interface as clients see it, on a publisher that does what the story needs. Loopback only.

mod admission;
mod bodies;
mod life;
mod listener;
mod living;
mod support;
mod uploads;
mod way;
