//! The stand-in of the Redshift Data API as a program; listens, and talks to PostgreSQL and S3.

use std::net::SocketAddr;

use anyhow::Context as _;
use clap::Parser;
use redshift_stand_in::{ObjectSettings, Settings, run};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Speaks the Redshift Data API over PostgreSQL. A test part: what it does not imitate is listed in its library's documentation.
#[derive(Parser)]
struct Arguments {
    /// Where to listen.
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// postgresql://user:password@host:port/database
    #[arg(long, value_name = "URL")]
    postgres: String,
    /// Where COPY finds its files; buckets are addressed by path.
    #[arg(long, value_name = "URL")]
    s3_endpoint: String,
    #[arg(long, env = "AWS_REGION", default_value = "us-east-1")]
    region: String,
    #[arg(long, env = "AWS_ACCESS_KEY_ID", hide_env_values = true)]
    access_key_id: String,
    #[arg(long, env = "AWS_SECRET_ACCESS_KEY", hide_env_values = true)]
    secret_access_key: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(std::io::stderr)
        .init();
    let arguments = Arguments::parse();
    let settings = Settings {
        postgres: arguments.postgres,
        objects: ObjectSettings {
            endpoint: arguments.s3_endpoint,
            region: arguments.region,
            access_key_id: arguments.access_key_id,
            secret_access_key: arguments.secret_access_key,
        },
    };
    let mut terminate = signal(SignalKind::terminate()).context("cannot listen for SIGTERM")?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .with_context(|| format!("cannot listen on {}", arguments.listen))?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    run(&settings, listener, stop).await
}
