//! Asks every worker every two seconds how it is getting on. Talks to workers' admin ports.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use futures::StreamExt;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Bytes;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::runtime::reflector::ObjectRef;
use medallion_crds::labels;
use medallion_crds::launch::ADMIN_PORT;
use medallion_crds::progress::{PATH, Progress};
use thiserror::Error;
use tokio::time::MissedTickBehavior;

use crate::context::Context;
use crate::metrics::Metrics;
use crate::scope::{Reference, Scope};

const PERIOD: Duration = Duration::from_secs(2);
const DEADLINE: Duration = Duration::from_secs(2);
/// What a worker said holds this long; then nothing is known of it.
const HOLDS: Duration = Duration::from_secs(10);
const BODY_BYTES: usize = 64 * 1024;
const AT_ONCE: usize = 32;

/// What workers said last, by UID of the pod.
#[derive(Default)]
pub(crate) struct ProgressBoard(Mutex<Board>);

#[derive(Default)]
struct Board {
    said: HashMap<String, (Instant, Progress)>,
    /// Pods that did not answer when they were asked last.
    silent: HashSet<String>,
}

impl ProgressBoard {
    /// What these pods said.
    pub fn of(&self, pods: &[Pod]) -> BTreeMap<String, Progress> {
        let board = self.lock();
        let uids = pods.iter().filter_map(|pod| pod.metadata.uid.as_ref());
        uids.filter_map(|uid| Some((uid.clone(), board.said.get(uid)?.1.clone())))
            .collect()
    }

    /// Takes what a pod said; whether it is news.
    fn put(&self, uid: &str, progress: Progress) -> bool {
        let mut board = self.lock();
        board.silent.remove(uid);
        let news = board.said.get(uid).is_none_or(|(_, old)| old.work != progress.work);
        board.said.insert(uid.to_owned(), (Instant::now(), progress));
        news
    }

    /// Takes that a pod did not answer.
    fn miss(&self, uid: &str) {
        self.lock().silent.insert(uid.to_owned());
    }

    fn is_silent(&self, uid: &str) -> bool {
        self.lock().silent.contains(uid)
    }

    /// Forgets what no longer holds.
    fn forget(&self, known: &HashSet<String>) -> Vec<String> {
        let mut forgotten = Vec::new();
        let mut board = self.lock();
        board.silent.retain(|uid| known.contains(uid));
        board.said.retain(|uid, (heard, _)| {
            let holds = heard.elapsed() < HOLDS && known.contains(uid);
            if !holds {
                forgotten.push(uid.clone());
            }
            holds
        });
        forgotten
    }

    fn lock(&self) -> MutexGuard<'_, Board> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why a worker's answer is not taken.
#[derive(Debug, Error)]
enum PollError {
    #[error("no answer: {0}")]
    NoAnswer(String),
    #[error("the answer is not progress: {0}")]
    NotProgress(#[source] serde_json::Error),
    #[error("the answer speaks of another {0}")]
    Stranger(&'static str),
}

/// A pod to ask, and who it must say it is.
struct Target {
    scope: Scope,
    pipeline: Reference,
    uid: String,
    pipeline_uid: String,
    stage: Option<String>,
    settings_hash: Option<String>,
    address: IpAddr,
}

/// The client that asks workers.
pub(crate) type HttpClient = Client<HttpConnector, Empty<Bytes>>;

/// A client that gives up soon on a pod that is gone.
pub(crate) fn client() -> HttpClient {
    let mut connector = HttpConnector::new();
    connector.set_connect_timeout(Some(Duration::from_secs(1)));
    Client::builder(TokioExecutor::new())
        .pool_idle_timeout(Duration::from_secs(30))
        .build(connector)
}

/// Asks until the task is ended. Pods that do not answer are asked apart, so that nobody waits for their deadlines.
pub(crate) async fn poll_for_ever(context: Arc<Context>, scopes: Vec<Scope>) {
    futures::future::join(lane(&context, &scopes, false), lane(&context, &scopes, true)).await;
}

async fn lane(context: &Context, scopes: &[Scope], silent: bool) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let all = scopes.iter().flat_map(targets);
        let asked = all.filter(|target| context.progress.is_silent(&target.uid) == silent);
        poll(context, asked.collect()).await;
        if !silent {
            forget_gone(context, scopes);
        }
    }
}

/// Asks all workers of a scope.
pub(crate) async fn poll_once(context: &Context, scope: &Scope) {
    poll(context, targets(scope)).await;
}

async fn poll(context: &Context, targets: Vec<Target>) {
    futures::stream::iter(targets)
        .for_each_concurrent(AT_ONCE, |target| async move {
            match ask(&context.http, &target).await {
                Ok(progress) => {
                    Metrics::count(&context.metrics.polls, "ok");
                    if context.progress.put(&target.uid, progress) {
                        target.scope.touch(target.pipeline);
                    }
                }
                Err(error) => {
                    let word = if matches!(error, PollError::NoAnswer(_)) {
                        "no_answer"
                    } else {
                        "discarded"
                    };
                    Metrics::count(&context.metrics.polls, word);
                    context.progress.miss(&target.uid);
                    tracing::debug!(pod = target.uid, %error, "no progress");
                }
            }
        })
        .await;
}

fn targets(scope: &Scope) -> Vec<Target> {
    let pods = scope.pods.state();
    pods.iter()
        .filter_map(|pod| target(scope, pod.0.as_ref().ok()?))
        .collect()
}

fn target(scope: &Scope, pod: &Pod) -> Option<Target> {
    let status = pod
        .status
        .as_ref()
        .filter(|_| pod.metadata.deletion_timestamp.is_none())?;
    let container = status.container_statuses.as_ref()?.first()?;
    container.state.as_ref()?.running.as_ref()?;
    let pipeline: Reference = ObjectRef::new(pod.labels().get(labels::PIPELINE)?).within(&pod.namespace()?);
    Some(Target {
        pipeline_uid: scope.pipelines.get(&pipeline)?.uid()?,
        scope: scope.clone(),
        pipeline,
        uid: pod.uid()?,
        stage: pod.labels().get(labels::STAGE).cloned(),
        settings_hash: pod.annotations().get(labels::SETTINGS_HASH).cloned(),
        address: status.pod_ip.as_ref()?.parse().ok()?,
    })
}

async fn ask(client: &HttpClient, target: &Target) -> Result<Progress, PollError> {
    let no_answer = |error: &dyn std::fmt::Display| PollError::NoAnswer(error.to_string());
    let host = match target.address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    let uri: Uri = format!("http://{host}:{ADMIN_PORT}{PATH}")
        .parse()
        .map_err(|error| no_answer(&error))?;
    let request = Request::get(uri)
        .body(Empty::new())
        .map_err(|error| no_answer(&error))?;
    let exchange = async {
        let response = client.request(request).await.map_err(|error| no_answer(&error))?;
        if !response.status().is_success() {
            return Err(no_answer(&response.status()));
        }
        let body = Limited::new(response.into_body(), BODY_BYTES).collect().await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| no_answer(&error))
    };
    let body = tokio::time::timeout(DEADLINE, exchange)
        .await
        .map_err(|error| no_answer(&error))??;
    let progress: Progress = serde_json::from_slice(&body).map_err(PollError::NotProgress)?;
    check(&progress, target)?;
    Ok(progress)
}

/// An address may have gone to another pod meanwhile: only the one we asked is believed.
fn check(progress: &Progress, target: &Target) -> Result<(), PollError> {
    let identity = &progress.identity;
    if identity.pipeline_uid != target.pipeline_uid {
        return Err(PollError::Stranger("pipeline"));
    }
    if identity.pod_uid != target.uid {
        return Err(PollError::Stranger("pod"));
    }
    if identity.stage.map(medallion_crds::Stage::as_str) != target.stage.as_deref() {
        return Err(PollError::Stranger("stage"));
    }
    if Some(&identity.settings_hash) != target.settings_hash.as_ref() {
        return Err(PollError::Stranger("settings"));
    }
    Ok(())
}

/// Forgets pods that no longer answer, and pipelines that are gone.
fn forget_gone(context: &Context, scopes: &[Scope]) {
    let asked: HashMap<String, (Scope, Reference)> = scopes
        .iter()
        .flat_map(targets)
        .map(|target| (target.uid.clone(), (target.scope, target.pipeline)))
        .collect();
    for uid in context.progress.forget(&asked.keys().cloned().collect()) {
        if let Some((scope, pipeline)) = asked.get(&uid) {
            scope.touch(pipeline.clone());
        }
    }
    let living: HashSet<String> = scopes
        .iter()
        .flat_map(|scope| scope.pipelines.state())
        .filter_map(|pipeline| pipeline.uid())
        .collect();
    context
        .metrics
        .pipelines
        .set(i64::try_from(living.len()).unwrap_or(i64::MAX));
    context.memories.retain(|uid| living.contains(uid));
}

#[cfg(test)]
mod tests {
    use medallion_crds::progress::{Identity, Work};

    use super::*;

    fn progress() -> Progress {
        Progress {
            identity: Identity::default(),
            time: jiff::Timestamp::UNIX_EPOCH,
            work: Work::default(),
        }
    }

    #[test]
    fn a_pod_that_does_not_answer_is_asked_apart_until_it_does() {
        let board = ProgressBoard::default();
        board.put("a", progress());
        board.miss("a");
        board.miss("b");
        assert!(board.is_silent("a") && board.is_silent("b"));
        board.put("a", progress());
        assert!(!board.is_silent("a"));
        board.forget(&HashSet::from(["a".to_owned()]));
        assert!(!board.is_silent("b"), "a pod that is gone is not remembered");
    }

    #[test]
    fn only_what_is_new_is_news() {
        let board = ProgressBoard::default();
        assert!(board.put("a", progress()));
        assert!(!board.put("a", progress()));
        let mut other = progress();
        other.work.lag = Some(1);
        assert!(board.put("a", other));
    }
}
