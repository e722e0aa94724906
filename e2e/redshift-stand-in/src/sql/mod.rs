//! Reads Redshift's SQL as far as needed to hand it to PostgreSQL; touches no network.

pub mod column_types;
pub mod copy;
pub mod create_table;
pub mod create_user;
pub mod cursor;
pub mod edit;
pub mod error;
pub mod lexer;
pub mod parameters;
pub mod plan;
pub mod refusals;
pub mod target;
