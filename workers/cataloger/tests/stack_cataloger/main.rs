//! The cataloger between the real lake and moto's Glue: what Delta's schemas say stands in the catalog, field by field. Talks to the stack.

mod place;

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use arrow::datatypes::{DataType, Field, Schema, TimeUnit};
use medallion_crds::Reason;
use place::{Place, Registering};

/// Columns with types and comments, in their order.
type Columns = Vec<(String, String, Option<String>)>;

fn column(name: &str, type_name: &str, comment: Option<&str>) -> (String, String, Option<String>) {
    (name.to_owned(), type_name.to_owned(), comment.map(str::to_owned))
}

fn orders() -> Schema {
    let comment = BTreeMap::from([("comment".to_owned(), "what was paid, in pounds".to_owned())]);
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    Schema::new(vec![
        Field::new("order_id", DataType::Utf8, true),
        Field::new("total_amount", DataType::Decimal128(18, 2), true).with_metadata(comment),
        Field::new("ordered_at", moment, true),
        Field::new("part_date", DataType::Date32, true),
    ])
}

fn columns_of_orders() -> Columns {
    vec![
        column("order_id", "string", None),
        column("total_amount", "decimal(18,2)", Some("what was paid, in pounds")),
        column("ordered_at", "timestamp", None),
        column("part_date", "date", None),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_stand_in_the_catalog_as_delta_has_them_and_follow() -> Result<()> {
    let place = Place::new("follow").await?;
    let version = place.create("gold", "orders", &orders(), &["part_date"]).await?;
    place.create("silver", "lines", &orders(), &[]).await?;
    let inputs = [("orders", version)];

    let report = place.register(&Registering::default(), &inputs).await?;
    ensure!(!report.already_committed, "something was registered");
    let found = place.found("gold", "orders").await?.context("the table")?;
    ensure!(found.columns == columns_of_orders(), "{:?}", found.columns);
    ensure!(found.location == place.address("gold", "orders"), "{}", found.location);
    ensure!(found.partition_keys == 0, "partitions are the log's");
    let parameters: BTreeMap<_, _> = found.parameters.into_iter().collect();
    ensure!(parameters["table_type"] == "DELTA", "{parameters:?}");
    ensure!(parameters["medallion.owner"] == "here/shop/orders", "{parameters:?}");
    let silver = place.found("silver", "lines").await?.context("Silver was wished")?;
    ensure!(silver.columns == columns_of_orders(), "{:?}", silver.columns);

    let again = place.register(&Registering::default(), &inputs).await?;
    ensure!(again.already_committed, "nothing has changed");
    ensure!(again.outputs == report.outputs, "{:?}", again.outputs);

    // A person's parameter stays, a new column comes.
    place.tag("gold", "orders", "team", "sales").await?;
    let version = place
        .widen("gold", "orders", &Field::new("is_gift", DataType::Boolean, true))
        .await?;
    place.register(&Registering::default(), &[("orders", version)]).await?;
    let found = place.found("gold", "orders").await?.context("the table")?;
    ensure!(
        found
            .columns
            .iter()
            .any(|column| column.0 == "is_gift" && column.1 == "boolean"),
        "{:?}",
        found.columns
    );
    let parameters: BTreeMap<_, _> = found.parameters.into_iter().collect();
    ensure!(parameters["team"] == "sales", "{parameters:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pipelines_table_is_refused_with_all_others_until_it_is_given_up() -> Result<()> {
    let place = Place::new("owners").await?;
    let orders_version = place.create("gold", "orders", &orders(), &[]).await?;
    let days_version = place.create("gold", "days", &orders(), &[]).await?;
    let theirs = Registering {
        pipeline: "other",
        ..Registering::default()
    };
    place.register(&theirs, &[("orders", orders_version)]).await?;

    let inputs = [("days", days_version), ("orders", orders_version)];
    let refused = place.register(&Registering::default(), &inputs).await.err();
    let refused = refused.context("it belongs to another")?;
    ensure!(refused.reason == Reason::OwnedByAnother, "{refused}");
    ensure!(
        refused.message.contains("medallion.dev/adopt: here/shop/other"),
        "{refused}"
    );
    ensure!(
        place.found("gold", "days").await?.is_none(),
        "nothing is written before"
    );

    let adopting = Registering {
        adopt: &["here/shop/other"],
        ..Registering::default()
    };
    place.register(&adopting, &inputs).await?;
    for table in ["days", "orders"] {
        let found = place.found("gold", table).await?.context("a table")?;
        let parameters: BTreeMap<_, _> = found.parameters.into_iter().collect();
        ensure!(parameters["medallion.owner"] == "here/shop/orders", "{parameters:?}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_is_missing_is_named_unless_the_operator_makes_things() -> Result<()> {
    let place = Place::new("missing").await?;
    let version = place.create("gold", "orders", &orders(), &[]).await?;
    let verifying = Registering {
        management: "External",
        ..Registering::default()
    };
    let refused = place.register(&verifying, &[("orders", version)]).await.err();
    let refused = refused.context("there is no database")?;
    ensure!(refused.reason == Reason::CatalogDatabaseMissing, "{refused}");
    ensure!(refused.message.contains("aws glue create-database"), "{refused}");
    Ok(())
}
