//! Runs statements on PostgreSQL the way Redshift would; talks to PostgreSQL and, for COPY, to S3.

pub mod failure;
pub mod result;
pub mod runner;
pub mod session;
pub mod system;
