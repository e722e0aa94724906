//! Runs looks side by side, on all threads, and asks for the next ones. Talks to the Kubernetes API through them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;
use crate::reconcile::pass;
use crate::reconcile::queue::{DEBOUNCE, Queue};
use crate::requests::Request;

/// Looks at pipelines until it is asked to stop; then ends the looks under way.
pub(crate) async fn dispatch(
    context: Arc<Context>,
    mut requests: UnboundedReceiver<Request>,
    concurrency: usize,
    shutdown: CancellationToken,
) {
    tokio::select! {
        () = context.health.wait_until_filled() => {}
        () = shutdown.cancelled() => return,
    }
    tracing::info!(pipelines = context.index.count_pipelines(), "what is watched is listed");
    let mut queue = Queue::default();
    let mut looks = JoinSet::new();
    loop {
        while looks.len() < concurrency
            && let Some(key) = queue.begin(Instant::now())
        {
            let context = context.clone();
            looks.spawn(async move {
                let again = pass::guarded(&context, &key).await;
                (key, again)
            });
        }
        let next = queue
            .next_time()
            .filter(|_| looks.len() < concurrency)
            .unwrap_or_else(|| Instant::now() + Duration::from_mins(1));
        tokio::select! {
            () = shutdown.cancelled() => break,
            Some(request) = requests.recv() => {
                queue.ask(request, Instant::now());
                // Many come at once.
                while let Ok(request) = requests.try_recv() {
                    queue.ask(request, Instant::now());
                }
            }
            Some(ended) = looks.join_next() => {
                // A look catches its own panics.
                if let Ok((key, again)) = ended {
                    queue.end(key, again.map(|after: Duration| Instant::now() + after.max(DEBOUNCE)));
                }
            }
            () = tokio::time::sleep_until(next.into()) => {}
        }
    }
    while looks.join_next().await.is_some() {}
}
