//! PostgreSQL as the warehouse: sessions of its users, their transactions' conflicts, its results and errors; talks to PostgreSQL.

pub mod conflicts;
pub mod failure;
pub mod result;
pub mod session;
pub mod system;
pub mod users;
