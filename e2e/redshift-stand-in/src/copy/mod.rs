//! COPY of Parquet files that a manifest lists, by Redshift's rules; reads from S3, writes to PostgreSQL.

pub mod columns;
pub mod failure;
pub mod load;
pub mod manifest;
pub mod objects;
pub mod rows;
