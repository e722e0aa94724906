//! A part of story 1: what the catalog says of each Gold table, field by field beside what an independent reader finds in the lake. Touches the catalog and the lake.

use anyhow::{Context, Result, bail, ensure};
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use medallion_crds::Stage;
use medallion_crds::pipeline::{Catalog, CatalogStage, CatalogType, Glue};
use serde_json::{Value, json};

use super::till::PATIENCE;
use crate::shop::{Plan, Shop};

const DATABASE: &str = "story_gold";

/// Writes the catalog into a pipeline that is quick enough to watch.
pub fn wish(plan: &mut Plan) {
    let spec = &mut plan.pipeline.spec;
    spec.catalog = Some(Catalog {
        kind: CatalogType::Glue,
        glue: Some(Glue {
            database: DATABASE.to_owned(),
            silver_database: None,
        }),
    });
    spec.stages.catalog = Some(CatalogStage {
        min_interval_seconds: 1,
        ..CatalogStage::default()
    });
}

/// Every Gold table stands in the catalog, where it lies and with the columns that it has.
pub async fn holds(shop: &Shop<'_>) -> Result<()> {
    let step = shop.world.progress.step("the catalog has what Gold has");
    let gold = shop
        .wait_for_stage(&step, Stage::Gold, PATIENCE, |stage| stage.position.is_some())
        .await?;
    ensure!(gold.position.is_some(), "Gold has no run");
    shop.wait_until_idle(&step, PATIENCE).await?;
    let owner = shop.owner().await?.to_string();
    for table in shop.warehouse_tables() {
        let found = ask(shop, "GetTable", &json!({"DatabaseName": DATABASE, "Name": table})).await?;
        let found = &found["Table"];
        let storage = &found["StorageDescriptor"];
        ensure!(
            storage["Location"] == shop.gold(&table),
            "{table} lies at {}",
            storage["Location"]
        );
        ensure!(
            found["Parameters"]["medallion.owner"] == owner.as_str() && found["Parameters"]["table_type"] == "DELTA",
            "{table}: {}",
            found["Parameters"]
        );
        let columns = storage["Columns"].as_array().context("columns")?;
        let listed: Vec<_> = columns.iter().map(column).collect();
        let expected = columns_of(shop, &table).await?;
        ensure!(
            listed == expected,
            "{table}: the catalog has {listed:?}, the lake {expected:?}"
        );
    }
    step.done("");
    Ok(())
}

/// Name, type in Hive's words, comment.
type Column = (String, String, Option<String>);

fn column(listed: &Value) -> Column {
    let comment = listed["Comment"].as_str().filter(|text| !text.is_empty());
    (text(&listed["Name"]), text(&listed["Type"]), comment.map(str::to_owned))
}

/// Columns of a Gold table as another reader of the lake has them.
async fn columns_of(shop: &Shop<'_>, table: &str) -> Result<Vec<Column>> {
    let columns = shop.world.referee().await.schema(&shop.gold(table)).await?;
    let columns = columns
        .into_iter()
        .map(|(name, type_name, comment)| Ok((name, in_words_of_hive(&type_name)?, comment)));
    columns.collect()
}

/// Of a type of Delta.
fn in_words_of_hive(type_name: &str) -> Result<String> {
    Ok(match type_name {
        "integer" => "int".to_owned(),
        "long" => "bigint".to_owned(),
        "string" | "boolean" | "double" | "date" | "timestamp" => type_name.to_owned(),
        decimal if decimal.starts_with("decimal(") => decimal.replace(' ', ""),
        other => bail!("no Gold table of the shop has a column of type {other}"),
    })
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

/// moto verifies no signature; it looks which service is meant.
async fn ask(shop: &Shop<'_>, operation: &str, body: &Value) -> Result<Value> {
    let client: Client<_, Full<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let aws = &shop.world.stack.aws;
    let scope = format!("{}/20260101/{}/glue/aws4_request", aws.access_key_id, aws.region);
    let request = Request::post(&shop.world.stack.moto.endpoint)
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", format!("AWSGlue.{operation}"))
        .header(
            "authorization",
            format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"),
        )
        .body(Full::new(Bytes::from(body.to_string())))?;
    let answer = client.request(request).await?;
    let status = answer.status();
    let body = answer.into_body().collect().await?.to_bytes();
    ensure!(
        status.is_success(),
        "{operation}: {status} {}",
        String::from_utf8_lossy(&body)
    );
    Ok(serde_json::from_slice(&body)?)
}
