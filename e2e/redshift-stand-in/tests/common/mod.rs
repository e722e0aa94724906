//! A stand-in of the test's own over the stack's PostgreSQL and S3, with a schema and a bucket of the test's own; talks to all of them.
#![allow(dead_code, reason = "every test file uses a part of it")]

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch};
use aws_sdk_redshiftdata::operation::describe_statement::DescribeStatementOutput;
use aws_sdk_redshiftdata::types::{Field, StatusString};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use redshift_stand_in::{ObjectSettings, Settings, run};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio_postgres::NoTls;
use uuid::Uuid;

pub struct Stand {
    pub client: aws_sdk_redshiftdata::Client,
    pub s3: aws_sdk_s3::Client,
    pub bucket: String,
    pub schema: String,
    pub postgres: tokio_postgres::Client,
    settings: Settings,
    address: String,
    /// Dropped with the test, which ends the server.
    _stop: oneshot::Sender<()>,
}

pub async fn stand() -> Stand {
    let path = std::env::var("MEDALLION_STACK").expect("MEDALLION_STACK names the JSON file of a running stack");
    let stack: Value =
        serde_json::from_slice(&std::fs::read(&path).expect("the file is there")).expect("the file is JSON");
    let text = |pointer: &str| {
        stack
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or_else(|| panic!("{path} has no {pointer}"))
            .to_owned()
    };
    let settings = Settings {
        postgres: text("/postgres/url"),
        objects: ObjectSettings {
            endpoint: text("/s3/endpoint"),
            region: text("/aws/region"),
            access_key_id: text("/aws/accessKeyId"),
            secret_access_key: text("/aws/secretAccessKey"),
        },
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener
        .local_addr()
        .expect("a bound listener has an address")
        .to_string();
    let (stop, stopped) = oneshot::channel::<()>();
    let (postgres, connection) = tokio_postgres::connect(&settings.postgres, NoTls)
        .await
        .expect("PostgreSQL answers");
    tokio::spawn(connection);
    let objects = settings.objects.clone();
    let served = settings.clone();
    tokio::spawn(async move {
        let stop = async move {
            let _ = stopped.await;
        };
        run(&served, listener, stop).await.expect("the stand-in serves");
    });

    let unique = Uuid::new_v4().simple().to_string();
    let stand = Stand {
        client: data_api(&address, &objects, &objects.access_key_id),
        s3: s3(&objects),
        bucket: format!("stand-in-{}", &unique[..12]),
        schema: format!("test_{}", &unique[..12]),
        postgres,
        settings,
        address,
        _stop: stop,
    };
    stand
        .s3
        .create_bucket()
        .bucket(&stand.bucket)
        .send()
        .await
        .expect("S3 makes the bucket");
    stand.finished(&format!("CREATE SCHEMA {}", stand.schema)).await;
    stand
}

/// Another stand-in over the same PostgreSQL, which can die without a chance to tidy up.
pub struct Doomed {
    pub client: aws_sdk_redshiftdata::Client,
    runtime: Runtime,
}

impl Doomed {
    /// Its sockets close, nothing else happens: what SIGKILL leaves.
    pub fn kill(self) {
        self.runtime.shutdown_background();
    }
}

fn data_api(address: &str, settings: &ObjectSettings, access_key_id: &str) -> aws_sdk_redshiftdata::Client {
    use aws_sdk_redshiftdata::config::{BehaviorVersion, Builder, Credentials, Region};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(format!("http://{address}"))
        .region(Region::new(settings.region.clone()))
        .credentials_provider(Credentials::new(
            access_key_id,
            &settings.secret_access_key,
            None,
            None,
            "test",
        ))
        .build();
    aws_sdk_redshiftdata::Client::from_conf(config)
}

fn s3(settings: &ObjectSettings) -> aws_sdk_s3::Client {
    use aws_sdk_s3::config::{BehaviorVersion, Builder, Credentials, Region};
    let config = Builder::new()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(&settings.endpoint)
        .region(Region::new(settings.region.clone()))
        .credentials_provider(Credentials::new(
            &settings.access_key_id,
            &settings.secret_access_key,
            None,
            None,
            "test",
        ))
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

impl Stand {
    pub fn doomed(&self) -> Doomed {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        listener.set_nonblocking(true).expect("a socket can be non-blocking");
        let address = listener
            .local_addr()
            .expect("a bound listener has an address")
            .to_string();
        let settings = self.settings.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .expect("a runtime starts");
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).expect("the listener is non-blocking");
            run(&settings, listener, std::future::pending()).await
        });
        Doomed {
            client: data_api(&address, &self.settings.objects, &self.settings.objects.access_key_id),
            runtime,
        }
    }

    /// The same warehouse as another identity sees it, and the database user it is.
    pub fn caller(&self, name: &str) -> (aws_sdk_redshiftdata::Client, String) {
        let access_key = format!("{name}-{}", self.schema.trim_start_matches("test_"));
        let client = data_api(&self.address, &self.settings.objects, &access_key);
        (client, format!("IAM:{access_key}"))
    }

    pub fn table(&self, name: &str) -> String {
        format!("{}.{name}", self.schema)
    }

    pub async fn submit(&self, sql: &str) -> String {
        let answer = self
            .client
            .execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .sql(sql)
            .send()
            .await
            .expect("the statement is taken");
        answer.id.expect("a taken statement has an id")
    }

    pub async fn submit_batch(&self, sqls: &[&str]) -> String {
        let sqls = sqls.iter().map(|sql| (*sql).to_owned()).collect();
        let answer = self
            .client
            .batch_execute_statement()
            .workgroup_name("shop")
            .database("analytics")
            .set_sqls(Some(sqls))
            .send()
            .await
            .expect("the batch is taken");
        answer.id.expect("a taken batch has an id")
    }

    /// Waits for the end by long polling.
    pub async fn ended(&self, id: &str) -> DescribeStatementOutput {
        let described = self
            .client
            .describe_statement()
            .id(id)
            .wait_time_seconds(30)
            .send()
            .await
            .expect("the statement is described");
        assert!(
            matches!(
                described.status,
                Some(StatusString::Finished | StatusString::Failed | StatusString::Aborted)
            ),
            "{id} is still {:?}",
            described.status
        );
        described
    }

    pub async fn finished(&self, sql: &str) -> DescribeStatementOutput {
        let described = self.ended(&self.submit(sql).await).await;
        assert_eq!(
            described.status,
            Some(StatusString::Finished),
            "{sql}: {:?}",
            described.error
        );
        described
    }

    pub async fn batch_finished(&self, sqls: &[&str]) -> DescribeStatementOutput {
        let described = self.ended(&self.submit_batch(sqls).await).await;
        assert_eq!(described.status, Some(StatusString::Finished), "{:?}", described.error);
        described
    }

    /// The error of a statement that must fail.
    pub async fn failed(&self, sql: &str) -> String {
        let described = self.ended(&self.submit(sql).await).await;
        assert_eq!(described.status, Some(StatusString::Failed), "{sql}");
        described.error.expect("a failed statement says why")
    }

    /// All rows as text, nulls as `NULL`.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<String>> {
        let described = self.finished(sql).await;
        let result = self
            .client
            .get_statement_result()
            .id(described.id)
            .send()
            .await
            .expect("the result is there");
        result
            .records
            .iter()
            .map(|row| row.iter().map(shown).collect())
            .collect()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let rows = self
            .postgres
            .query_one(&format!("SELECT count(*) FROM {}", self.table(table)), &[])
            .await
            .expect("the table is there");
        rows.get(0)
    }

    pub async fn put(&self, key: &str, bytes: impl Into<Bytes>) {
        self.s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(bytes.into().into())
            .send()
            .await
            .expect("S3 takes the object");
    }

    /// Writes a Parquet file and gives its manifest entry.
    pub async fn put_parquet(&self, key: &str, columns: Vec<(&str, ArrayRef)>) -> Value {
        let file = parquet(columns);
        let length = file.len();
        self.put(key, file).await;
        json!({"url": self.url(key), "mandatory": true, "meta": {"content_length": length}})
    }

    pub async fn put_manifest(&self, key: &str, entries: Vec<Value>) {
        self.put(key, json!({"entries": entries}).to_string()).await;
    }

    pub fn url(&self, key: &str) -> String {
        format!("s3://{}/{key}", self.bucket)
    }

    pub fn copy(&self, table: &str, manifest: &str) -> String {
        format!(
            "COPY {} FROM '{}' IAM_ROLE 'arn:aws:iam::123456789012:role/copy' FORMAT AS PARQUET MANIFEST",
            self.table(table),
            self.url(manifest)
        )
    }

    pub async fn arm(&self, fault: Value) {
        let answer = self.http("POST", "/faults", &fault.to_string()).await;
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }

    pub async fn clear_faults(&self) {
        let answer = self.http("DELETE", "/faults", "").await;
        assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    }

    pub async fn http(&self, method: &str, path: &str, body: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).await.expect("the stand-in listens");
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: stand-in\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        stream.write_all(request.as_bytes()).await.expect("the stand-in reads");
        let mut answer = String::new();
        stream
            .read_to_string(&mut answer)
            .await
            .expect("the stand-in answers in text");
        answer
    }
}

pub fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
        .expect("columns of one length");
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, batch.schema(), None).expect("a schema that Parquet knows");
    writer.write(&batch).expect("rows of that schema");
    writer.close().expect("the file ends");
    file
}

pub fn column<Values>(values: Values) -> ArrayRef
where
    Values: arrow::array::Array + 'static,
{
    Arc::new(values)
}

pub fn shown(field: &Field) -> String {
    match field {
        Field::IsNull(_) => "NULL".to_owned(),
        Field::BooleanValue(value) => value.to_string(),
        Field::LongValue(value) => value.to_string(),
        Field::DoubleValue(value) => value.to_string(),
        Field::StringValue(value) => value.clone(),
        other => panic!("unexpected field {other:?}"),
    }
}
