//! What the loader's Jobs are made from. No network.

use medallion_crds::launch::RunSettings;

use crate::job::Recipe;
use crate::plan::PlanError;
use crate::settings::LaunchSettings;

pub(crate) fn recipe(settings: &LaunchSettings<'_>, run: RunSettings) -> Result<Option<Recipe>, PlanError> {
    Ok(Some(Recipe {
        image: settings.config.images.workers.clone(),
        launch: settings.loader(run)?,
    }))
}
