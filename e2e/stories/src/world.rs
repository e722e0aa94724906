//! Hands on everything: the cluster, the stores, the referee and the progress display. Touches all of the stack.

use std::sync::Arc;

use anyhow::Result;
use tokio::sync::{Mutex, MutexGuard};

use crate::cluster::Cluster;
use crate::doors::Doors;
use crate::helm::{self, Installation};
use crate::kafka::Kafka;
use crate::leader;
use crate::progress::Progress;
use crate::recorder::Recorder;
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
    pub doors: Doors,
    recorder: Option<Arc<Recorder>>,
    referee: Mutex<Referee>,
    installed: Arc<Mutex<Option<Installation>>>,
}

impl World {
    pub async fn connect() -> Result<Self> {
        let stack = Stack::from_environment()?;
        Ok(Self {
            progress: Progress::default(),
            cluster: Cluster::connect(&stack).await?,
            kafka: Kafka::new(&stack.kafka.bootstrap_servers),
            stores: Stores::connect(&stack).await,
            doors: Doors::direct(&stack),
            recorder: None,
            referee: Mutex::new(Referee::start(&stack)?),
            installed: Arc::default(),
            stack,
        })
    }

    /// The same, with all calls of AWS that workers make from now on noted.
    pub async fn recorded(mut self) -> Result<Self> {
        let (recorder, doors) = Recorder::start(&self.stack).await?;
        (self.recorder, self.doors) = (Some(recorder), doors);
        Ok(self)
    }

    /// Fails with calls of AWS that the workspace's files do not have.
    pub fn compare_calls(&self) -> Result<()> {
        let recorder = self.recorder.as_ref();
        recorder.map_or(Ok(()), |recorder| recorder.compare(&self.stack))
    }

    /// The same for a story beside others: with a referee of its own, whose tables nobody else makes anew, and with its
    /// name before what it says.
    pub fn beside_others(&self, name: &str) -> Result<Self> {
        Ok(Self {
            stack: self.stack.clone(),
            progress: self.progress.of(name),
            cluster: self.cluster.clone(),
            kafka: self.kafka.clone(),
            stores: self.stores.clone(),
            doors: self.doors.clone(),
            recorder: self.recorder.clone(),
            referee: Mutex::new(Referee::start(&self.stack)?),
            installed: self.installed.clone(),
        })
    }

    pub async fn referee(&self) -> MutexGuard<'_, Referee> {
        self.referee.lock().await
    }

    pub async fn warehouse(&self) -> Result<Warehouse> {
        Warehouse::connect(&self.stack).await
    }

    /// The product by its charts, if it is not installed like this already. The dbt projects of an earlier one stay on the
    /// list: their pipelines may still stand.
    pub async fn install(&self, mut wanted: Installation) -> Result<()> {
        let mut installed = self.installed.lock().await;
        if let Some(before) = &*installed {
            for (name, image) in &before.dbt_projects {
                wanted.dbt_projects.entry(name.clone()).or_insert_with(|| image.clone());
            }
        }
        if installed.as_ref() != Some(&wanted) {
            let step = self
                .progress
                .step("helm upgrade --install medallion-crds, medallion-operator");
            helm::install(&self.stack, &self.doors, &wanted).await?;
            leader::newest_leads(&self.cluster, &step).await?;
            step.done("");
            *installed = Some(wanted);
        }
        Ok(())
    }

    /// Takes the product away, once nothing is left that it would have to finish.
    pub async fn uninstall(&self) -> Result<()> {
        let mut installed = self.installed.lock().await;
        let step = self.progress.step("helm uninstall medallion");
        helm::uninstall(&self.stack).await?;
        step.done("");
        *installed = None;
        Ok(())
    }
}
