//! The loop that asks: who is due is asked, and what is new leads to a look at the pipeline. Talks to workers' admin ports.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::key::PipelineKey;
use crate::lease::leadership::Leadership;
use crate::metrics::Metrics;
use crate::poll::ask::{AskError, Clients, Target};
use crate::poll::board::{Board, News, Question};
use crate::requests::{Request, Requests, Urgency};
use crate::watch::index::Index;

const TICK: Duration = Duration::from_millis(100);
/// Every so many ticks the pods are looked up anew where some have come, changed or gone, ...
const REFRESH_TICKS: u32 = 5;
/// ... and every so many everywhere: what this operator leads may have changed.
const WHOLE_REFRESH_TICKS: u32 = 50;

/// What asking takes.
pub(crate) struct Poller {
    pub index: Arc<Index>,
    pub board: Arc<Board>,
    pub clients: Clients,
    pub leadership: Arc<Leadership>,
    pub metrics: Arc<Metrics>,
    pub requests: Requests,
}

impl Poller {
    /// Asks until the task is ended.
    pub async fn poll_for_ever(self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked = FuturesUnordered::new();
        let mut count = 0_u32;
        loop {
            tokio::select! {
                _ = ticks.tick() => {
                    if count.is_multiple_of(REFRESH_TICKS) {
                        self.refresh(count.is_multiple_of(WHOLE_REFRESH_TICKS));
                    }
                    count = count.wrapping_add(1);
                    for question in self.board.due(Instant::now()) {
                        asked.push(self.ask(question));
                    }
                }
                Some(()) = asked.next(), if !asked.is_empty() => {}
            }
        }
    }

    fn refresh(&self, whole: bool) {
        let (changed, mut pods) = self.index.changed_pods();
        if whole {
            pods = self.index.pods();
        }
        let targets = pods.into_iter().filter_map(|(pipeline, uid, pod)| {
            let led = self.leadership.leads(&pipeline.namespace);
            Target::of(&pod, pipeline, uid).filter(|_| led)
        });
        let of = (!whole).then_some(&changed);
        let silenced = self.board.set_targets(of, targets.collect(), Instant::now());
        self.requests.ask_all(silenced);
        let pipelines = self.index.count_pipelines();
        self.metrics.pipelines.set(i64::try_from(pipelines).unwrap_or(i64::MAX));
    }

    async fn ask(&self, question: Question) {
        let target = &question.target;
        match self.clients.ask(target, question.keeps_connection).await {
            Ok(progress) => {
                Metrics::count(&self.metrics.polls, "ok");
                let news = self
                    .board
                    .answered(&target.uid, progress, Instant::now(), Timestamp::now());
                self.ask_for_look(target.pipeline.clone(), news);
            }
            Err(error) => {
                let word = if matches!(error, AskError::NoAnswer(_)) {
                    "no_answer"
                } else {
                    "discarded"
                };
                Metrics::count(&self.metrics.polls, word);
                self.board.missed(&target.uid);
                tracing::debug!(pod = target.uid, %error, "no progress");
            }
        }
    }

    fn ask_for_look(&self, pipeline: PipelineKey, news: News) {
        let urgency = match news {
            News::Nothing => return,
            News::Figures => Urgency::Soon,
            News::Something => Urgency::Now,
        };
        self.requests.ask(Request { key: pipeline, urgency });
    }
}
