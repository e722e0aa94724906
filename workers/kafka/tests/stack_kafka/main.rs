//! Every secure listener of a real broker, everything that can be wrong with each, and rotation; `MEDALLION_STACK` names the file with their addresses.

mod acl;
mod listeners;
mod password;
mod refusals;
mod rights;
mod rotation;
mod stack;
