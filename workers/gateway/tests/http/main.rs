//! The HTTP interface as clients see it, on a publisher that does what the story needs. Loopback only.

mod admission;
mod bodies;
mod life;
mod listener;
mod support;
mod uploads;
mod way;
