//! Looks again and again until something is so, says what it waits for, and gives up with the last thing seen. Touches no network itself.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::progress::Step;

/// What a look has shown.
pub enum Look<T> {
    Done(T),
    /// Not yet: what is still missing.
    Waiting(String),
}

/// Looks every `every` until it is done; fails after `limit` with what was missing last.
pub async fn until<T>(
    step: &Step,
    limit: Duration,
    every: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    let begun = Instant::now();
    loop {
        let missing = match look().await? {
            Look::Done(value) => return Ok(value),
            Look::Waiting(missing) => missing,
        };
        if begun.elapsed() > limit {
            bail!("gave up after {} s: {missing}", limit.as_secs());
        }
        step.say(missing);
        tokio::time::sleep(every).await;
    }
}

/// As [`until`], where an error is one more reason to look again: for stores and servers that are being killed.
pub async fn in_the_end<T>(
    step: &Step,
    limit: Duration,
    every: Duration,
    mut look: impl AsyncFnMut() -> Result<Look<T>>,
) -> Result<T> {
    until(step, limit, every, async || match look().await {
        Ok(look) => Ok(look),
        Err(error) => Ok(Look::Waiting(format!("{error:#}"))),
    })
    .await
}
