//! The client. Talks to the Kubernetes API.

use std::time::Duration;

use kube::{Client, Config};

/// A client without retries of its own: a repeated create or a sleep inside a call would hide what happened. It has no
/// limit on the rate of calls either: how many there are is decided by how many passes run at once.
pub(crate) async fn client() -> anyhow::Result<Client> {
    let mut config = Config::infer().await?;
    config.default_retry = false;
    config.connect_timeout = Some(Duration::from_secs(5));
    // A little longer than the server lets a watch live: a silent connection is a dead one.
    config.read_timeout = Some(Duration::from_mins(5));
    Ok(Client::try_from(config)?)
}
