//! Two indexes for DynamoDB Local, which scans every stream record that it has ever written at each put and each read of a stream. Touches no network.

use std::process::Command;

use anyhow::Result;

use super::part::Part;
use super::probe::Probe;
use crate::run;
use crate::stack::Stack;

/// Its `SQLite` file has the stream records in table `us`, by sequence number alone; it asks for the first
/// one of a stream and of a shard all the time. What it answers is not changed, only how fast.
const INDEXES: &str = "
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=20)
connection.execute('CREATE INDEX IF NOT EXISTS us_by_shard ON us (ShardID, SequenceNumber)')
connection.execute('CREATE INDEX IF NOT EXISTS us_by_stream ON us (StreamID, SequenceNumber)')
connection.commit()
";

pub fn part() -> Part {
    Part {
        after: &["dynamodb"],
        setup: Some(setup),
        ..Part::new("dynamodb-indexes", None, Probe::All(Vec::new()))
    }
}

fn setup(stack: &Stack) -> Result<()> {
    let file = stack.data("dynamodb").join("shared-local-instance.db");
    let mut python = Command::new(stack.fetched.python.join("bin/python"));
    run::output_blocking(python.args(["-c", INDEXES]).arg(file)).map(drop)
}
