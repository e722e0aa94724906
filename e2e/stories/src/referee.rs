//! Asks the referee, a Python process with deltalake and DuckDB, about lake tables and SQL. Touches the lake through it.

use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::stack::Stack;

const PROGRAM: &str = include_str!("referee.py");

pub struct Referee {
    _process: Child,
    questions: ChildStdin,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A table at a version.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct TableState {
    pub version: i64,
    pub rows: i64,
}

/// The files of a version of a table.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub struct TableFiles {
    pub version: i64,
    pub files: Vec<TableFile>,
}

#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd)]
pub struct TableFile {
    pub path: String,
    pub partition: String,
}

#[derive(Deserialize)]
struct Answer {
    ok: Option<Value>,
    error: Option<String>,
}

#[derive(Deserialize)]
struct Rows {
    rows: Vec<Vec<Value>>,
}

impl Referee {
    pub fn start(stack: &Stack) -> Result<Self> {
        let mut process = Command::new(&stack.bin.python)
            .args(["-c", PROGRAM])
            .env("AWS_ENDPOINT_URL_S3", &stack.s3.endpoint)
            .env("AWS_ACCESS_KEY_ID", &stack.aws.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &stack.aws.secret_access_key)
            .env("AWS_REGION", &stack.aws.region)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("cannot start {}", stack.bin.python.display()))?;
        let questions = process.stdin.take().context("no standard input")?;
        let answers = BufReader::new(process.stdout.take().context("no standard output")?).lines();
        Ok(Self {
            _process: process,
            questions,
            answers,
        })
    }

    async fn ask(&mut self, question: &Value) -> Result<Value> {
        let mut line = question.to_string();
        line.push('\n');
        self.questions
            .write_all(line.as_bytes())
            .await
            .context("the referee has ended")?;
        let line = self.answers.next_line().await?.context("the referee has ended")?;
        let answer: Answer = serde_json::from_str(&line).context("the referee's answer")?;
        if let Some(error) = answer.error {
            bail!("{error}");
        }
        Ok(answer.ok.unwrap_or(Value::Null))
    }

    /// Makes the rows of a lake table a local table; `None`: there is no such table in the lake.
    pub async fn table(&mut self, name: &str, url: &str, version: Option<i64>) -> Result<Option<TableState>> {
        let answer = self
            .ask(&json!({"op": "table", "name": name, "url": url, "version": version}))
            .await;
        Ok(serde_json::from_value(answer.with_context(|| format!("table {url}"))?)?)
    }

    /// The files of a version of a table, the newest if none is named.
    pub async fn files(&mut self, url: &str, version: Option<i64>) -> Result<TableFiles> {
        let answer = self.ask(&json!({"op": "files", "url": url, "version": version})).await;
        Ok(serde_json::from_value(
            answer.with_context(|| format!("files of {url}"))?,
        )?)
    }

    /// Each column of the newest version of a table: name, type in Delta's words, comment.
    pub async fn schema(&mut self, url: &str) -> Result<Vec<(String, String, Option<String>)>> {
        let answer = self.ask(&json!({"op": "schema", "url": url})).await;
        Ok(serde_json::from_value(
            answer.with_context(|| format!("schema of {url}"))?,
        )?)
    }

    /// Runs statements; the rows of the last one.
    pub async fn sql(&mut self, text: &str) -> Result<Vec<Vec<Value>>> {
        let answer = self.ask(&json!({"op": "sql", "text": text})).await;
        let rows: Rows = serde_json::from_value(answer.with_context(|| format!("SQL: {}", text.trim()))?)?;
        Ok(rows.rows)
    }

    /// The one number that a query gives.
    pub async fn number(&mut self, text: &str) -> Result<i64> {
        let rows = self.sql(text).await?;
        let value = rows
            .first()
            .and_then(|row| row.first())
            .context("the query has no rows")?;
        let number = value
            .as_i64()
            .or_else(|| value.as_str().and_then(|text| text.parse().ok()));
        number.with_context(|| format!("{value} is no number: {text}"))
    }
}
