//! A stand-in of the Amazon Redshift Data API for tests: the protocol that `aws-sdk-redshiftdata` speaks, over PostgreSQL and S3.
//!
//! SQL runs for real. A statement or a batch is one transaction at snapshot isolation (REPEATABLE READ). Transactions conflict by
//! whole tables, as in Redshift, and the later one fails with `ERROR: 1023 ... Serializable isolation violation`: see
//! [`warehouse::conflicts`]. Faults for tests: see [`faults`].
//!
//! Who calls is told by the access key of the request's signature, which nobody checks. The key that the stand-in itself is
//! started with is the warehouse's administrator, a superuser; any other key `k` is the database user `IAM:k`, made with its first
//! statement and without rights until somebody grants them. Statements, their results and their client tokens are their caller's own.
//!
//! # What is translated
//! - `COPY ... FROM 's3://...' ... FORMAT [AS] PARQUET MANIFEST`, carried out here: see [`copy`].
//! - `CREATE TABLE`, `ALTER TABLE ... ADD COLUMN`: DISTSTYLE, DISTKEY, SORTKEY, ENCODE, BACKUP are taken out; `VARCHAR(MAX)` is
//!   `VARCHAR(65535)`, a text without length `VARCHAR(256)`; primary, unique and foreign keys are not enforced, as in Redshift (a primary key keeps its NOT NULL).
//! - `CREATE USER ... PASSWORD DISABLE`, as users are made that log in by temporary credentials.
//! - `:name` parameters become literals. Backslashes in strings are escapes, as in Redshift.
//! - `pg_last_copy_count()`, `getdate()`, `sys_load_history`, `svv_tables`, `svv_columns` are objects of schema `redshift_stand_in`.
//!
//! # What is refused although PostgreSQL could do it
//! ON CONFLICT, RETURNING, row locks, indexes, lock modes, ADD COLUMN IF NOT EXISTS, several actions in one ALTER TABLE; BEGIN and
//! COMMIT as statements; TRUNCATE inside a batch, because Redshift commits there and then; types, lengths and column encodings that
//! Redshift does not have, or not together.
//!
//! # What is imitated as it was seen or is documented, where a reader might expect something else
//! - `ListStatements` shows only FINISHED statements unless a status is asked for (`ALL` for all).
//! - `ResultRows` of a COPY is 0: ask `pg_last_copy_count()` in the same batch, or count.
//! - In a failed batch the parts before the failure stay FINISHED and those after it are ABORTED; everything is rolled back and no part
//!   has a result. The batch's error begins with `Query #<number> failed with`.
//! - Client tokens hold for 8 hours and have at most 64 characters, statements are known for 24 hours, results have at most 100 MB,
//!   200 statements may be active, a batch has at most 40 statements of at most 100,000 bytes.
//! - A manifest entry for Parquet must have `meta.content_length`; COPY converts no types and takes no MAXERROR.
//!
//! # What is not imitated
//! - Signatures, `SecretArn`, `DbUser`, the database's name, workgroups and clusters: accepted, echoed, not checked. All of them are
//!   one PostgreSQL database. An access key is one session of one identity, so that `RoleLevel` makes no difference.
//! - Persistence: a restart forgets statements, tokens, results and faults; what was committed stays. What ran then is rolled back.
//! - Circles of more than two conflicting transactions. Redshift lets the second writer of a table wait; here both write, and the
//!   second to commit fails, as there.
//! - Redshift's other SQL: UNLOAD, SUPER, IDENTITY, late-binding views, its system tables, its query
//!   planner, and names that fold even in quotes. Messages of ordinary errors are PostgreSQL's.
//! - COPY of other formats or prefixes, credentials, what encodings do, `stl_load_errors`; lengths in bytes elsewhere than in COPY; rows
//!   of `sys_load_history` vanish with a rollback.
//! - Sessions, CSV results and `GetStatementResultV2`, `ListSessions`, `ListDatabases`, `ListSchemas`, `ListTables`, `DescribeTable`, events.
//! - Limits on waiting requests, workload management, concurrency scaling, anything about time: a statement takes as long as it takes here.

mod api;
mod connection;
mod copy;
pub mod faults;
mod registry;
mod runner;
mod server;
mod sql;
mod statement;
mod warehouse;

use std::sync::Arc;

use anyhow::Context as _;
use futures::future::BoxFuture;
use tokio::net::TcpListener;

use api::service::Service;
use copy::objects::Objects;
use faults::Faults;
use registry::Registry;
use runner::Warehouse;
use warehouse::users::Users;

pub use copy::objects::ObjectSettings;

/// Where the stand-in finds what it stands on.
#[derive(Debug, Clone)]
pub struct Settings {
    pub postgres: String,
    pub objects: ObjectSettings,
}

/// Serves until `stop` completes; fails at once when PostgreSQL cannot be reached.
pub async fn run(
    settings: &Settings,
    listener: TcpListener,
    stop: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    boxed(settings, listener, Box::pin(stop)).await
}

/// Behind a box the whole service is compiled here, and not again in the program and in every test that runs it.
fn boxed<'a>(
    settings: &'a Settings,
    listener: TcpListener,
    stop: BoxFuture<'static, ()>,
) -> BoxFuture<'a, anyhow::Result<()>> {
    Box::pin(serve(settings, listener, stop))
}

async fn serve(settings: &Settings, listener: TcpListener, stop: BoxFuture<'static, ()>) -> anyhow::Result<()> {
    let config = settings
        .postgres
        .parse()
        .context("--postgres is not a postgresql:// address")?;
    let faults = Arc::new(Faults::default());
    let users = Users::new(&settings.objects.access_key_id, config);
    let warehouse = Arc::new(Warehouse::new(users, Objects::new(&settings.objects), faults.clone()));
    warehouse.prepare().await.map_err(anyhow::Error::msg)?;
    tracing::info!(address = %listener.local_addr()?, "ready");
    let service = Arc::new(Service {
        warehouse,
        registry: Registry::default(),
        faults,
    });
    server::serve(service, listener, stop).await.context("serving failed")
}
