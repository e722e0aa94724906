//! What the dbt-runner's Jobs are made from, for Silver and Gold. No network.

use medallion_crds::Stage;
use medallion_crds::launch::RunSettings;

use crate::job::Recipe;
use crate::plan::PlanError;
use crate::settings::LaunchSettings;

/// `None` while the project's image is not known, which the pipeline's faults say.
pub(crate) fn recipe(
    settings: &LaunchSettings<'_>,
    stage: Stage,
    run: RunSettings,
) -> Result<Option<Recipe>, PlanError> {
    let Some(image) = settings.pipeline.dbt_image.clone() else {
        return Ok(None);
    };
    let launch = settings.dbt_runner(stage, &image, run)?;
    Ok(Some(Recipe { image, launch }))
}
