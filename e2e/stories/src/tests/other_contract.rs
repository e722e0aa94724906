//! Story 7: parcels instead of purchases: other names, a nested key that is a number, a decimal as text, a version field. The same images, another dbt project.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use medallion_crds::pipeline::{WarehouseMode, WarehouseTable};
use serde_json::json;

use crate::account::Account;
use crate::dbt_image::{Change, derive};
use crate::entrance::Entrance;
use crate::event::{Event, Pointers};
use crate::gateway::Fate;
use crate::news::News;
use crate::reference::{compare_warehouse, differences};
use crate::shop::{Plan, Shop, in_words};
use crate::waiting::{Look, in_the_end};
use crate::world::World;

const PROJECT: &str = "shipments";
const CONTRACT: &str = include_str!("../../projects/shipments/shipment-contract.schema.json");
const REFERENCE: &str = include_str!("../../projects/shipments/reference.sql");
const CONSIGNMENTS: i64 = 120;
const SCANS: i64 = 300;

/// What the allow-list must have for it: the project's name and image.
pub async fn projects(world: &World) -> Result<Vec<(String, String)>> {
    let base = world
        .stack
        .images
        .dbt_purchases
        .clone()
        .context("the stack has no dbt image")?;
    let project = Path::new(env!("CARGO_MANIFEST_DIR")).join("projects").join(PROJECT);
    let image = derive(
        &world.stack,
        &base,
        &format!("dbt-{PROJECT}"),
        &Change::Project(&project),
    )
    .await?;
    Ok(vec![(PROJECT.to_owned(), image)])
}

pub async fn run(world: &World) -> Result<Vec<Shop<'_>>> {
    let shop = Shop::open_afresh(world, plan()?).await?;

    let scans = scans(&shop.pointers)?;
    let (early, late) = scans.split_at(scans.len() / 2);
    let gateway = shop.gateway().await?;
    let mut delivery = gateway.deliver_all(early, 50, 2, super::till::PATIENCE, |_| {}).await?;
    arrive(&shop, early, &delivery).await?;
    delivery.merge(gateway.deliver_all(late, 50, 2, super::till::PATIENCE, |_| {}).await?);
    ensure!(
        delivery.refused().count() == 0,
        "scans were refused: {:?}",
        delivery.refused().next()
    );
    let account = arrive(&shop, &scans, &delivery).await?;
    ensure!(
        account.bronze.len() == scans.len(),
        "{} events in Bronze",
        account.bronze.len()
    );

    world
        .progress
        .line("what this contract refuses is refused by its own words");
    let mut bad: Vec<Event> = Vec::new();
    for (number, weight) in [
        (900_001, json!(12.5)),
        (900_002, json!("12.5555")),
        (900_003, json!("heavy")),
    ] {
        let value = json!({
            "scan": number, "consignment": {"number": number}, "revision": 1, "scanned_at": "2024-03-01T00:00:00Z",
            "weight_kg": weight, "depot": "LEEDS",
        });
        bad.push(shop.pointers.event(&value).context("a scan has key and id")?);
    }
    let refused = gateway.deliver(&bad, super::till::PATIENCE).await?;
    for (identity, fate) in &refused.fates {
        ensure!(
            matches!(fate, Fate::Refused { field, .. } if field == "/weight_kg"),
            "scan {identity} should be refused for /weight_kg and is {fate:?}"
        );
    }
    Ok(vec![shop])
}

fn plan() -> Result<Plan> {
    let mut plan = Plan::named("shipments")?.by(Entrance::MskIam);
    CONTRACT.clone_into(&mut plan.contract);
    plan.pipeline.metadata.name = Some("parcels".to_owned());
    let spec = &mut plan.pipeline.spec;
    for version in &mut spec.contract.versions {
        "shipment-contract".clone_into(&mut version.schema_ref.name);
    }
    "/consignment/number".clone_into(&mut spec.contract.key);
    "/scan".clone_into(&mut spec.contract.event_id);
    "/scanned_at".clone_into(&mut spec.contract.event_time);
    spec.contract.event_version = Some("/revision".to_owned());
    PROJECT.clone_into(&mut spec.dbt.project);
    if let Some(warehouse) = &mut spec.stages.warehouse {
        warehouse.tables = vec![WarehouseTable {
            name: "depot_days".to_owned(),
            mode: WarehouseMode::ReplacePartitions,
        }];
    }
    Ok(plan)
}

/// Scans out of order: revisions come in any order, and the highest one counts whenever it was scanned.
fn scans(pointers: &Pointers) -> Result<Vec<Event>> {
    let mut all = Vec::new();
    for scan in 1..=SCANS {
        // Steps that share no factor with the counts visit everything, in no order that means anything.
        let mixed = scan * 131 % 307;
        let consignment = 70_000_000_000 + mixed % CONSIGNMENTS;
        let depot = ["LEEDS", "LILLE", "LUND"][usize::try_from(mixed % 3)?];
        let value = json!({
            "scan": scan, "consignment": {"number": consignment, "carrier": format!("carrier {}", mixed % 4)},
            "revision": mixed / CONSIGNMENTS + 1,
            "scanned_at": format!("2024-03-{:02}T{:02}:30:00+01:00", mixed % 5 + 1, mixed % 24),
            "weight_kg": format!("{}.{:03}", mixed, scan), "depot": depot,
            "fragile": mixed % 7 == 0,
        });
        all.push(pointers.event(&value).context("a scan has key and id")?);
    }
    Ok(all)
}

async fn arrive(shop: &Shop<'_>, scans: &[Event], delivery: &crate::gateway::Delivery) -> Result<Account> {
    let world = shop.world;
    let step = world.progress.step("parcels arrive");
    let folder: PathBuf = world.stack.home().join(&shop.namespace);
    std::fs::create_dir_all(&folder)?;
    let file = folder.join("scans.ndjson");
    std::fs::write(
        &file,
        scans
            .iter()
            .map(|scan| scan.text.as_str())
            .collect::<Vec<_>>()
            .join("\n"),
    )?;
    let mut news = News::of(shop);
    let account = in_the_end(&step, Duration::from_mins(5), Duration::ZERO, async || {
        news.wait().await;
        let account = Account::take(shop).await?;
        let mut referee = world.referee().await;
        referee
            .sql(&REFERENCE.replace("{file}", &file.to_string_lossy()))
            .await?;
        let mut found = Vec::new();
        for (table, url) in [
            ("silver_parcels", shop.silver("parcels")),
            ("gold_depot_days", shop.gold("depot_days")),
        ] {
            if referee.table(table, &url, None).await?.is_none() {
                return Ok(Look::Waiting(format!(
                    "no table at {url} yet; {}",
                    in_words(&shop.pipeline().await?)
                )));
            }
        }
        found.extend(differences(&mut referee, "expected_parcels", "silver_parcels", &[]).await?);
        found.extend(differences(&mut referee, "expected_depot_days", "gold_depot_days", &[]).await?);
        found.extend(compare_warehouse(&mut referee, shop, &folder).await?);
        found.extend(account.faults_of(delivery));
        let open = found.join("; ");
        Ok(if found.is_empty() {
            Look::Done(account)
        } else {
            Look::Waiting(format!("{open}; {}", in_words(&shop.pipeline().await?)))
        })
    })
    .await?;
    step.done(format!("{} scans", account.bronze.len()));
    let faults = account.faults();
    ensure!(faults.is_empty(), "{}", faults.join("\n  "));
    Ok(account)
}
