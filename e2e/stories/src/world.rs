//! Hands on everything: the cluster, the stores, the referee and the progress display. Touches all of the stack.

use anyhow::Result;
use tokio::sync::{Mutex, MutexGuard};

use crate::cluster::Cluster;
use crate::helm::{self, Installation};
use crate::kafka::Kafka;
use crate::leader;
use crate::progress::Progress;
use crate::referee::Referee;
use crate::stack::Stack;
use crate::stores::Stores;
use crate::warehouse::Warehouse;

pub struct World {
    pub stack: Stack,
    pub progress: Progress,
    pub cluster: Cluster,
    pub kafka: Kafka,
    pub stores: Stores,
    referee: Mutex<Referee>,
    installed: Mutex<Option<Installation>>,
}

impl World {
    pub async fn connect() -> Result<Self> {
        let stack = Stack::from_environment()?;
        Ok(Self {
            progress: Progress::default(),
            cluster: Cluster::connect(&stack).await?,
            kafka: Kafka::new(&stack.kafka.bootstrap_servers),
            stores: Stores::connect(&stack).await,
            referee: Mutex::new(Referee::start(&stack)?),
            installed: Mutex::default(),
            stack,
        })
    }

    pub async fn referee(&self) -> MutexGuard<'_, Referee> {
        self.referee.lock().await
    }

    pub async fn warehouse(&self) -> Result<Warehouse> {
        Warehouse::connect(&self.stack).await
    }

    /// The product by its charts, if it is not installed like this already.
    pub async fn install(&self, wanted: Installation) -> Result<()> {
        let mut installed = self.installed.lock().await;
        if installed.as_ref() != Some(&wanted) {
            let step = self
                .progress
                .step("helm upgrade --install medallion-crds, medallion-operator");
            helm::install(&self.stack, &wanted).await?;
            leader::newest_leads(&self.cluster, &step).await?;
            step.done("");
            *installed = Some(wanted);
        }
        Ok(())
    }
}
