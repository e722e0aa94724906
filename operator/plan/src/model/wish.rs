//! What the user wants of one stage, whatever the stage. No network.

use medallion_crds::Stage;
use medallion_crds::pipeline::Retry;

/// What the user wants of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct StageWish {
    /// The stage.
    pub stage: Stage,
    /// The stage alone pauses.
    pub suspend: bool,
    /// Size class of its pods.
    pub size: Option<String>,
    /// How old its oldest waiting input may be.
    pub max_age_seconds: i32,
    /// The account that the user names for its pods.
    pub service_account: Option<String>,
    /// What only a stage of its kind is asked.
    pub work: WorkWish,
}

/// What only a stage of one kind is asked.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkWish {
    /// Of a stage that runs all the time.
    Streaming {
        /// Pods; `None`: an autoscaler may say.
        replicas: Option<i32>,
        /// Whether it has pods at all: its work may be a function's that nobody here sees.
        has_pods: bool,
    },
    /// Of a stage that runs as Jobs.
    Batch(BatchRules),
}

impl StageWish {
    /// Whether pods do the work, or observe it: those that stay or those of runs.
    pub const fn has_pods(&self) -> bool {
        !matches!(self.work, WorkWish::Streaming { has_pods: false, .. })
    }
}

/// How a batch stage's runs are started, limited and tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct BatchRules {
    /// What happens when an attempt fails.
    pub retry: Retry,
    /// The longest attempt.
    pub timeout_seconds: i32,
    /// Between the starts of two runs.
    pub min_interval_seconds: i32,
}

/// The wish of a stage from its part of the spec. Each stage has a type of its own there, but what all are asked has the same names.
macro_rules! stage_wish {
    ($stage:expr, $part:expr, $work:expr) => {
        $crate::model::wish::StageWish {
            stage: $stage,
            suspend: $part.suspend,
            size: $part.size.clone(),
            max_age_seconds: $part.max_age_seconds,
            service_account: $part.service_account_name.clone(),
            work: $work,
        }
    };
}

/// The wish of a stage that runs all the time, in so many pods or in none.
macro_rules! streaming_wish {
    ($stage:expr, $part:expr, $replicas:expr) => {
        $crate::model::wish::streaming_wish!($stage, $part, $replicas, true)
    };
    ($stage:expr, $part:expr, $replicas:expr, $has_pods:expr) => {{
        let part = &$part;
        let work = $crate::model::wish::WorkWish::Streaming {
            replicas: $replicas,
            has_pods: $has_pods,
        };
        $crate::model::wish::stage_wish!($stage, part, work)
    }};
}

/// The wish of a stage that runs as Jobs.
macro_rules! batch_wish {
    ($stage:expr, $part:expr) => {{
        let part = &$part;
        let rules = $crate::model::wish::BatchRules {
            retry: part.retry.clone(),
            timeout_seconds: part.timeout_seconds,
            min_interval_seconds: part.min_interval_seconds,
        };
        $crate::model::wish::stage_wish!($stage, part, $crate::model::wish::WorkWish::Batch(rules))
    }};
}

pub(crate) use {batch_wish, stage_wish, streaming_wish};
