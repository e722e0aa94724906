//! Tables on the local stack's S3, written under races and kills, read by `deltalake` and `DuckDB`. Needs a running local stack.

mod stack;
mod stories;
