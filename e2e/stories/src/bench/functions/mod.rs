//! Both functions of AWS Lambda under AWS's own emulator: how large they are, how soon they answer from nothing, and how the gateway's
//! warm one compares with its pod. Touches all of the stack.

mod cold;
mod deployed;
mod post;
mod warm;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use medallion_crds::Stage;
use medallion_crds::pipeline::RunsOn;
use serde_json::json;

use super::plan::plan;
use super::table::{Goal, Table};
use super::workers::wait_until_consumed;
use crate::function::aws;
use crate::secrets_extension::SecretsExtension;
use crate::shop::Shop;
use crate::world::World;
use deployed::Deployed;

/// Most megabytes of the gateway's package.
const MOST: f64 = 12.0;
const PATIENCE: Duration = Duration::from_mins(2);

pub async fn measure(world: &World, table: &mut Table) -> Result<()> {
    let mut wanted = plan("functions")?;
    wanted.pipeline.spec.suspend = true;
    wanted.pipeline.spec.stages.bronze.runs_on = RunsOn::Lambda;
    let mut shop = Shop::open_afresh(world, wanted).await?;
    let step = world.progress.step("the exporter's function holds the stream");
    shop.wait_for_stage(&step, Stage::Bronze, PATIENCE, |stage| {
        stage.held_by == Some(RunsOn::Lambda)
    })
    .await?;
    step.done("");
    // Only the manifest that is packed says so: the pod stays, and both take events into the same topic.
    let ingest = &mut shop.plan.pipeline.spec.stages.ingest;
    let ingest = ingest.as_mut().context("the example has ingest")?;
    (ingest.runs_on, ingest.replicas) = (RunsOn::Lambda, None);

    let programs = &world.stack.functions;
    let extension =
        SecretsExtension::start(BTreeMap::from([("tills".to_owned(), json!({"tokens": shop.token}))])).await?;
    let environment = extension.environment().to_vec();
    let gateway = Deployed::pack(&shop, "ingest", programs.gateway.as_ref(), environment).await?;
    let environment = aws(world, "exporter").to_vec();
    let exporter = Deployed::pack(&shop, "bronze", programs.exporter.as_ref(), environment).await?;
    for (function, whose, goal) in [(&gateway, "gateway's", Some(MOST)), (&exporter, "exporter's", None)] {
        let (zipped, program) = function.megabytes()?;
        table.row(
            format!("{whose} function, zipped; its program"),
            format!("{zipped:.1}; {program:.1} MB"),
            goal.map_or_else(String::new, |most| Goal::at_most(zipped, most, "MB zipped").into()),
        );
    }

    cold::gateway(&gateway, &shop, table).await?;
    warm::measure(&gateway, &shop, table).await?;
    wait_until_consumed(&shop).await?;
    cold::exporter(&exporter, &shop, table).await?;
    shop.close().await
}
