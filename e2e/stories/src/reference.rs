//! What Silver and Gold of the purchases must hold, computed by SQL from the input, and its comparison with what they hold. Touches the lake and the warehouse.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::event::{Event, Identity};
use crate::purchases::Purchases;
use crate::referee::Referee;
use crate::shop::Shop;
use crate::warehouse::{Warehouse, quoted};

const FROM_CSV: &str = include_str!("../reference/csv.sql");
const FROM_EVENTS: &str = include_str!("../reference/events.sql");
const PURCHASES: &str = include_str!("../reference/purchases.sql");

/// The Silver table and the Gold tables of the shop's project.
pub const SILVER: [&str; 1] = ["order_lines"];
pub const GOLD: [&str; 5] = [
    "orders",
    "daily_sales",
    "product_sales",
    "customer_days",
    "customer_value",
];

/// What is a function of the run and not of the events.
const OF_THE_RUN: [&str; 6] = [
    "valued_at",
    "days_since_last_order",
    "is_in_future",
    "event_time",
    "event_version",
    "contract_version",
];

/// Makes the expected tables from the file that the demo has posted.
pub async fn expect_file(referee: &mut Referee, purchases: &Purchases) -> Result<()> {
    let sql = FROM_CSV
        .replace("{file}", &purchases.path.to_string_lossy())
        .replace("{digest}", &purchases.digest)
        .replace("{encoding}", if purchases.is_utf8 { "utf-8" } else { "latin-1" });
    referee.sql(&sql).await?;
    expect_tables(referee).await
}

/// Makes the expected tables from events that were accepted.
pub async fn expect_events(referee: &mut Referee, folder: &Path, events: &[Event]) -> Result<()> {
    let file = folder.join("events.ndjson");
    let text = events
        .iter()
        .map(|event| event.text.as_str())
        .collect::<Vec<_>>()
        .join("\n");
    tokio::fs::write(&file, text).await?;
    referee
        .sql(&FROM_EVENTS.replace("{file}", &file.to_string_lossy()))
        .await?;
    expect_tables(referee).await
}

async fn expect_tables(referee: &mut Referee) -> Result<()> {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../dbt/seeds");
    referee
        .sql(&PURCHASES.replace("{seeds}", &seeds.to_string_lossy()))
        .await
        .map(drop)
}

/// Identities of the lines that the reference says the contract refuses, with its reason.
pub async fn refused(referee: &mut Referee) -> Result<Vec<(Identity, String)>> {
    let rows = referee
        .sql("SELECT order_id, event_id, refusal FROM posted WHERE refusal IS NOT NULL")
        .await?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| {
            let [key, id, reason] = row.as_slice() else {
                anyhow::bail!("three columns")
            };
            Ok((
                Identity {
                    key: text(key),
                    id: text(id),
                },
                text(reason),
            ))
        })
        .collect()
}

/// Reads a layer's tables into the referee as `silver_<table>` or `gold_<table>`; rows of each.
pub async fn load(referee: &mut Referee, shop: &Shop<'_>) -> Result<Vec<(String, i64)>> {
    let mut counts = Vec::new();
    let silver = SILVER.map(|table| (format!("silver_{table}"), shop.silver(table)));
    let gold = GOLD.map(|table| (format!("gold_{table}"), shop.gold(table)));
    for (name, url) in silver.into_iter().chain(gold) {
        let state = referee.table(&name, &url, None).await?;
        counts.push((name, state.with_context(|| format!("there is no table at {url}"))?.rows));
    }
    Ok(counts)
}

/// Reads the warehouse's tables into the referee as `warehouse_<table>`, with the types of Gold; rows of each.
pub async fn load_warehouse(
    referee: &mut Referee,
    warehouse: &Warehouse,
    schema: &str,
    tables: &[String],
    folder: &Path,
) -> Result<Vec<(String, i64)>> {
    let mut counts = Vec::new();
    for table in tables {
        let file: PathBuf = folder.join(format!("{table}.csv"));
        warehouse.export(schema, table, &file).await?;
        let columns = columns(referee, &format!("gold_{table}")).await?;
        let casts: Vec<String> = columns
            .iter()
            .map(|(name, kind)| format!("CAST({name} AS {kind}) AS {name}", name = quoted(name)))
            .collect();
        let name = format!("warehouse_{table}");
        let source = format!(
            "read_csv('{}', header = true, all_varchar = true, nullstr = '', allow_quoted_nulls = false)",
            file.display()
        );
        referee
            .sql(&format!(
                "CREATE OR REPLACE TABLE {name} AS SELECT {} FROM {source}",
                casts.join(", ")
            ))
            .await?;
        counts.push((
            name.clone(),
            referee.number(&format!("SELECT count(*) FROM {name}")).await?,
        ));
    }
    Ok(counts)
}

async fn columns(referee: &mut Referee, table: &str) -> Result<Vec<(String, String)>> {
    let rows = referee.sql(&format!("DESCRIBE {}", quoted(table))).await?;
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
    Ok(rows.iter().map(|row| (text(row.first()), text(row.get(1)))).collect())
}

/// Rows that one table has and the other has not, in both directions; nothing when they hold the same rows equally often.
pub async fn differences(
    referee: &mut Referee,
    expected: &str,
    found: &str,
    ignored: &[&str],
) -> Result<Option<String>> {
    let names = |all: Vec<(String, String)>| -> Vec<String> {
        let of_the_events = |name: &String| !ignored.contains(&name.as_str()) && !name.starts_with("part_");
        all.into_iter().map(|(name, _)| name).filter(of_the_events).collect()
    };
    let (wanted, mut there) = (
        names(columns(referee, expected).await?),
        names(columns(referee, found).await?),
    );
    there.sort_by_key(|name| wanted.iter().position(|one| one == name));
    ensure!(
        wanted == there,
        "{found} has the columns {there:?}, expected are {wanted:?}"
    );
    let list = wanted.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ");
    let mut words = Vec::new();
    for (left, right, what) in [(expected, found, "missing"), (found, expected, "too many")] {
        let rest = format!("SELECT {list} FROM {left} EXCEPT ALL SELECT {list} FROM {right}");
        let count = referee.number(&format!("SELECT count(*) FROM ({rest})")).await?;
        if count > 0 {
            let some = referee
                .sql(&format!("SELECT * FROM ({rest}) ORDER BY ALL LIMIT 3"))
                .await?;
            words.push(format!(
                "{count} rows {what} in {found}, for example {}",
                serde_json::to_string(&some)?
            ));
        }
    }
    Ok((!words.is_empty()).then(|| words.join("; ")))
}

/// Compares Silver and Gold with the reference and the warehouse with Gold; one text per table that differs.
pub async fn compare_all(referee: &mut Referee, shop: &Shop<'_>, folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    load(referee, shop).await?;
    for table in SILVER {
        found.extend(
            differences(
                referee,
                &format!("expected_{table}"),
                &format!("silver_{table}"),
                &OF_THE_RUN,
            )
            .await?,
        );
    }
    for table in GOLD {
        found.extend(
            differences(
                referee,
                &format!("expected_{table}"),
                &format!("gold_{table}"),
                &OF_THE_RUN,
            )
            .await?,
        );
    }
    found.extend(compare_warehouse(referee, shop, folder).await?);
    Ok(found)
}

/// Compares each loaded table with Gold, whose tables the referee holds already.
pub async fn compare_warehouse(referee: &mut Referee, shop: &Shop<'_>, folder: &Path) -> Result<Vec<String>> {
    let warehouse = shop.world.warehouse().await?;
    let tables = shop.warehouse_tables();
    load_warehouse(referee, &warehouse, shop.schema(), &tables, folder).await?;
    let mut found = Vec::new();
    for table in &tables {
        let (gold, loaded) = (format!("gold_{table}"), format!("warehouse_{table}"));
        found.extend(differences(referee, &gold, &loaded, &[]).await?);
    }
    Ok(found)
}
