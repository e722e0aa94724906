//! The HTTP interface once more, as clients of API Gateway see it: the same tests, each request an event of Lambda's. No network.

#[path = "../http/admission.rs"]
mod admission;
#[path = "../http/bodies.rs"]
mod bodies;
mod events;
#[path = "../http/support.rs"]
mod support;
mod way;
