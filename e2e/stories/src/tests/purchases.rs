//! Story 1: all purchases of the demo arrive, each once, and Silver, Gold and the warehouse are what SQL makes of the file; the catalog says where Gold lies and what is in it.

use anyhow::{Result, ensure};

use super::catalog;
use crate::demo::pass;
use crate::purchases::{Purchases, shipped};
use crate::shop::{Plan, Shop};
use crate::world::World;

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let mut plan = Plan::named("purchases")?;
    if let Some(ingest) = &mut plan.pipeline.spec.stages.ingest {
        ingest.replicas = Some(2);
    }
    plan.pipeline.spec.stages.persist.replicas = Some(2);
    catalog::wish(&mut plan);
    let shop = Shop::open_afresh(world, plan).await?;
    let purchases = Purchases::read(&shipped())?;
    let passage = pass(&shop, &purchases).await?;
    ensure!(passage.faults.is_empty(), "{}", passage.faults.join("\n  "));
    ensure!(
        passage.delivery.fates.len() == purchases.events.len(),
        "every line has one fate"
    );
    ensure!(
        passage.account.of_others(&passage.delivery).is_empty(),
        "nothing was made up"
    );
    catalog::holds(&shop).await?;
    Ok(vec![shop])
}
