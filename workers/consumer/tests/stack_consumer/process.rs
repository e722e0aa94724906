//! The consumer as the process that a pod runs. Loopback for its admin port.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, Result};
use medallion_crds::launch::schema_digest;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::stack::Stack;

const SCHEMA: &str = r#"{"type":"object","required":["id","part","at"],"properties":{
    "id":{"type":"string"},"part":{"type":"integer"},"at":{"type":"string","format":"date-time"}}}"#;

pub struct Consumer {
    child: Child,
    admin: String,
    _folder: TempDir,
}

impl Consumer {
    pub fn start(stack: &Stack, name: &str) -> Result<Self> {
        Self::start_adopting(stack, name, &[])
    }

    /// With the values of the annotation `medallion.dev/adopt`.
    pub fn start_adopting(stack: &Stack, name: &str, adopt: &[String]) -> Result<Self> {
        Self::start_with(stack, name, adopt, &Self::plain_kafka(stack))
    }

    /// With items that expire.
    pub fn start_expiring(stack: &Stack, name: &str, days: i32) -> Result<Self> {
        Self::start_so(stack, name, &[], &Self::plain_kafka(stack), Some(days))
    }

    /// With other settings for the brokers.
    pub fn start_with(stack: &Stack, name: &str, adopt: &[String], kafka: &Value) -> Result<Self> {
        Self::start_so(stack, name, adopt, kafka, None)
    }

    fn plain_kafka(stack: &Stack) -> Value {
        json!({
            "bootstrapServers": [stack.bootstrap_servers],
            "topic": stack.name,
            "deadLetterTopic": stack.dead_letter_topic(),
        })
    }

    fn start_so(stack: &Stack, name: &str, adopt: &[String], kafka: &Value, days: Option<i32>) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let schema = folder.path().join("schema.json");
        std::fs::write(&schema, SCHEMA)?;
        let settings = json!({
            "pipeline": {"installation": "0b7c", "namespace": "shop", "name": "orders", "uid": "u1"},
            "adopt": adopt,
            "stage": "persist",
            "region": stack.region,
            "worker": {
                "contract": {"versions": [{"name": "v1", "schemaPath": schema, "digest": schema_digest(SCHEMA)}], "key": "/part", "eventId": "/id", "eventTime": "/at"},
                "kafka": kafka,
                "group": stack.name, "table": stack.name, "maxInFlight": 64, "maxBufferBytes": 16_777_216,
                "expireAfterDays": days,
            },
        });
        let path = folder.path().join("settings.json");
        std::fs::write(&path, settings.to_string())?;
        let admin = TcpListener::bind("127.0.0.1:0")?.local_addr()?.to_string();
        let child = Command::new(env!("CARGO_BIN_EXE_consumer"))
            .env("MEDALLION_SETTINGS", &path)
            .env("MEDALLION_ADMIN_LISTEN", &admin)
            .env("AWS_ENDPOINT_URL_DYNAMODB", &stack.dynamodb_endpoint)
            .env("AWS_ACCESS_KEY_ID", &stack.access_key)
            .env("AWS_SECRET_ACCESS_KEY", &stack.secret_key)
            .env("POD_UID", name)
            .spawn()
            .context("the consumer's process")?;
        Ok(Self {
            child,
            admin,
            _folder: folder,
        })
    }

    /// What `/progress` answers; null while it does not answer.
    pub fn progress(&self) -> Result<Value> {
        let Ok(mut stream) = TcpStream::connect(&self.admin) else {
            return Ok(Value::Null);
        };
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        write!(
            stream,
            "GET /progress HTTP/1.1\r\nHost: admin\r\nConnection: close\r\n\r\n"
        )?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let body = answer.split_once("\r\n\r\n").map(|(_, body)| body).unwrap_or_default();
        Ok(serde_json::from_str(body)?)
    }

    /// Whether it is the same process still.
    pub fn lives(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_none())
    }

    /// Lag of its share; a large number while it is unknown.
    pub fn lag(&self) -> Result<i64> {
        Ok(self.progress()?["lag"].as_i64().unwrap_or(i64::from(i32::MAX)))
    }

    /// SIGKILL.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM; the exit code.
    pub fn stop(mut self) -> Result<i32> {
        Command::new("kill").arg(self.child.id().to_string()).status()?;
        self.child.wait()?.code().context("ended by a signal")
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
