//! The consumer's objects. No network.

use medallion_crds::Stage;

use crate::child::Child;
use crate::config::OperatorConfig;
use crate::plan::PlanError;
use crate::settings::Launch;
use crate::standing::{self, Standing};
use crate::validate::ValidatedPipeline;

pub(crate) fn children(
    pipeline: &ValidatedPipeline,
    config: &OperatorConfig,
    launch: &Launch,
) -> Result<Vec<Child>, PlanError> {
    let standing = Standing {
        stage: Stage::Persist,
        replicas: pipeline.spec.stages.persist.replicas,
        recreate: false,
        tokens: None,
        launch,
    };
    standing::children(pipeline, config, &standing)
}
