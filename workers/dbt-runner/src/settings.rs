//! Where the layer of a run and its inputs live. No network.

use medallion_crds::Stage;
use medallion_crds::launch::{DbtRunnerSettings, Settings};

use crate::error::RunError;
use crate::views::Layers;

/// Name of Bronze among the inputs of Silver.
const BRONZE: &str = "bronze";

/// Where a layer and its inputs live.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LayerPlace {
    stage: Stage,
    /// Address of the folder of the layer's tables.
    pub folder: String,
    inputs: Inputs,
}

#[derive(Clone, Debug, Eq, PartialEq)]
enum Inputs {
    /// The one Bronze table.
    Bronze(String),
    /// All tables of a folder.
    Folder(String),
}

impl LayerPlace {
    /// From the settings, whose stage says which layer is made.
    pub fn new(settings: &Settings<DbtRunnerSettings>) -> Result<Self, RunError> {
        let lake = &settings.worker.lake;
        match settings.stage {
            Some(stage @ Stage::Silver) => Ok(Self {
                stage,
                folder: lake.silver.clone(),
                inputs: Inputs::Bronze(lake.bronze_table.clone()),
            }),
            Some(stage @ Stage::Gold) => Ok(Self {
                stage,
                folder: lake.gold.clone(),
                inputs: Inputs::Folder(lake.silver.clone()),
            }),
            other => Err(RunError::Settings(format!(
                "stage: is {} instead of silver or gold",
                other.map_or("missing", Stage::as_str)
            ))),
        }
    }

    /// Names of the layer, which is the tag of its models, and of the one before it.
    pub fn layers(&self) -> Layers<'static> {
        let before = match self.inputs {
            Inputs::Bronze(_) => Stage::Bronze,
            Inputs::Folder(_) => Stage::Silver,
        };
        Layers {
            before: before.as_str(),
            own: self.stage.as_str(),
        }
    }

    /// Address of an input.
    pub fn input(&self, name: &str) -> Result<String, RunError> {
        match &self.inputs {
            Inputs::Bronze(address) if name == BRONZE => Ok(address.clone()),
            Inputs::Bronze(_) => Err(RunError::Settings(format!(
                "worker.run.inputs: Silver has the one input {BRONZE}, not {name}"
            ))),
            Inputs::Folder(folder) => Ok(format!("{folder}/{name}")),
        }
    }
}
