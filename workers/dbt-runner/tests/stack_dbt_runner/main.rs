//! Runs of the shop's project with real dbt and `DuckDB` on a lake in a local folder: what is rewritten, what is not, and what a failure leaves.
//!
//! Needs Python with dbt: `MEDALLION_PYTHON` names the interpreter, or `MEDALLION_STACK` the description of a local stack.

mod reach;
mod shop;
mod warm;

use dbt_runner::error::RunError;
use medallion_crds::{Reason, Stage};
use medallion_lake::LakeError;
use shop::{Shop, event, inputs, three_days};
use worker_kit::{ErrorClass, WorkerError};

#[tokio::test(flavor = "multi_thread")]
async fn an_order_moves_to_another_day_and_no_other_day_is_rewritten() -> anyhow::Result<()> {
    let (shop, silver, _) = Shop::started().await?;
    assert_eq!(silver.rows, 3);
    assert_eq!(
        shop.rows("silver/order_lines", &["order_id", "event_id", "part_date"])
            .await?,
        ["1-1 a 2010-12-01", "2-1 b 2010-12-02", "3-1 c 2010-12-03"]
    );
    assert_eq!(
        shop.rows("gold/customer_value", &["buyer_id", "order_count", "net_amount"])
            .await?,
        ["17850 3 15.00"]
    );

    let (silver_before, gold_before) = (
        shop.files("silver/order_lines").await?,
        shop.files("gold/orders").await?,
    );
    // The first order moves to the second day; an event for the second that was overtaken comes late.
    shop.bronze(&[
        event("d", "1-1", "2010-12-02T12:00:00Z", 1),
        event("e", "2-1", "2010-12-02T09:00:00Z", 9),
    ])
    .await?;
    let silver = shop
        .run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await?;
    assert_eq!(
        shop.rows("silver/order_lines", &["order_id", "event_id", "part_date"])
            .await?,
        ["1-1 d 2010-12-02", "2-1 b 2010-12-02", "3-1 c 2010-12-03"]
    );
    shop.run(Stage::Gold, "gold-2", 1, inputs(&silver)).await?;
    assert_eq!(
        shop.rows("gold/daily_sales", &["part_date", "order_count", "net_amount"])
            .await?,
        ["2010-12-02 2 7.50", "2010-12-03 1 7.50"]
    );
    assert_eq!(
        shop.rows("gold/customer_value", &["buyer_id", "active_days", "net_amount"])
            .await?,
        ["17850 2 15.00"]
    );
    for (table, before) in [("silver/order_lines", silver_before), ("gold/orders", gold_before)] {
        let now = shop.files(table).await?;
        assert_eq!(
            now.get("2010-12-03"),
            before.get("2010-12-03"),
            "{table}: the untouched day keeps its files"
        );
        assert_ne!(
            now.get("2010-12-02"),
            before.get("2010-12-02"),
            "{table}: the touched day is rewritten"
        );
        assert_eq!(
            now.get("2010-12-01"),
            None,
            "{table}: nothing is left of the day that the order left"
        );
    }

    let again = shop.run(Stage::Gold, "gold-3", 1, inputs(&silver)).await?;
    assert!(again.already_committed);
    assert_eq!(
        again.outputs.len(),
        5,
        "downstream learns the versions of all tables: {:?}",
        again.outputs
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_without_rows_commits_its_position_and_a_deleted_event_its_absence() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&[]).await?;
    let empty = shop
        .run(Stage::Silver, "silver-1", 1, shop.bronze_version().await?)
        .await?;
    assert_eq!(
        (empty.rows, empty.outputs.len()),
        (0, 1),
        "the table exists, so that Gold can be made"
    );
    let gold = shop.run(Stage::Gold, "gold-1", 1, inputs(&empty)).await?;
    assert_eq!((gold.rows, gold.outputs.len()), (0, 5));

    shop.bronze(&three_days()).await?;
    shop.run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await?;
    shop.bronze(&[]).await?;
    let files = shop.files("silver/order_lines").await?;
    let idle = shop
        .run(Stage::Silver, "silver-3", 1, shop.bronze_version().await?)
        .await?;
    assert_eq!(idle.rows, 0);
    assert_eq!(idle.inputs, shop.bronze_version().await?);
    assert_eq!(
        shop.files("silver/order_lines").await?,
        files,
        "the position moved and nothing else"
    );

    shop.bronze_removal("1-1", "a").await?;
    let silver = shop
        .run(Stage::Silver, "silver-4", 1, shop.bronze_version().await?)
        .await?;
    assert_eq!(shop.rows("silver/order_lines", &["order_id"]).await?, ["2-1", "3-1"]);
    shop.run(Stage::Gold, "gold-2", 1, inputs(&silver)).await?;
    assert_eq!(shop.rows("gold/orders", &["order_number"]).await?, ["2", "3"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_publishes_what_is_missing_and_nothing_else() -> anyhow::Result<()> {
    let (shop, silver, _) = Shop::started().await?;
    shop.remove("gold")?;
    // The last table of the layer cannot be committed to: somebody has made another table in its place.
    shop.foreign_table("gold/customer_value").await?;
    let error = shop.run(Stage::Gold, "gold-1", 1, inputs(&silver)).await.unwrap_err();
    assert!(matches!(error, RunError::Lake(_)), "{error}");
    let published = shop.files("gold/daily_sales").await?;
    assert_eq!(published.len(), 3, "the tables before it are out");

    shop.remove("gold/customer_value")?;
    let retry = shop.run(Stage::Gold, "gold-1", 2, inputs(&silver)).await?;
    assert_eq!(retry.rows, 1, "only the customer's value was missing");
    assert_eq!(
        shop.files("gold/daily_sales").await?,
        published,
        "published work is not repeated"
    );
    assert_eq!(
        shop.rows("gold/customer_value", &["buyer_id", "order_count"]).await?,
        ["17850 3"]
    );
    Ok(())
}

/// What Gold says of days and buyers.
async fn gold(shop: &Shop) -> anyhow::Result<(Vec<String>, Vec<String>)> {
    Ok((
        shop.rows("gold/daily_sales", &["part_date", "order_count"]).await?,
        shop.rows("gold/customer_value", &["active_days", "net_amount"]).await?,
    ))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_came_and_went_while_the_tables_stood_apart_is_gone_from_all_of_them() -> anyhow::Result<()> {
    let (shop, ..) = Shop::started().await?;
    // An order on a day of its own reaches all of Gold but the last table.
    shop.bronze(&[event("d", "4-1", "2010-12-05T10:00:00Z", 4)]).await?;
    let silver = shop
        .run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await?;
    shop.set_aside("gold/customer_value")?;
    shop.foreign_table("gold/customer_value").await?;
    shop.run(Stage::Gold, "gold-2", 1, inputs(&silver)).await.unwrap_err();
    shop.remove("gold/customer_value")?;
    shop.put_back("gold/customer_value")?;

    // It moves on before a later run takes all further.
    shop.bronze(&[event("e", "4-1", "2010-12-06T10:00:00Z", 4)]).await?;
    let silver = shop
        .run(Stage::Silver, "silver-3", 1, shop.bronze_version().await?)
        .await?;
    shop.run(Stage::Gold, "gold-3", 1, inputs(&silver)).await?;
    let (days, value) = gold(&shop).await?;
    assert_eq!(days, ["2010-12-01 1", "2010-12-02 1", "2010-12-03 1", "2010-12-06 1"]);
    assert_eq!(value, ["4 25.00"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retry_after_a_new_table_was_published_gives_its_readers_all_of_it() -> anyhow::Result<()> {
    let (shop, ..) = Shop::started().await?;
    shop.bronze(&[event("d", "4-1", "2010-12-05T10:00:00Z", 4)]).await?;
    let silver = shop
        .run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await?;
    // As good as new: a table that is made anew, and the attempt ends before the table that reads it.
    shop.remove("gold/customer_days")?;
    shop.set_aside("gold/customer_value")?;
    shop.foreign_table("gold/customer_value").await?;
    shop.run(Stage::Gold, "gold-2", 1, inputs(&silver)).await.unwrap_err();
    shop.remove("gold/customer_value")?;
    shop.put_back("gold/customer_value")?;
    shop.run(Stage::Gold, "gold-2", 2, inputs(&silver)).await?;
    assert_eq!(gold(&shop).await?.1, ["4 25.00"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn an_input_that_was_made_anew_is_followed_and_nothing_of_the_old_one_stays() -> anyhow::Result<()> {
    let (shop, ..) = Shop::started().await?;
    shop.bronze(&[]).await?;
    for number in 2..=3 {
        let silver = shop
            .run(
                Stage::Silver,
                &format!("silver-{number}"),
                1,
                shop.bronze_version().await?,
            )
            .await?;
        shop.run(Stage::Gold, &format!("gold-{number}"), 1, inputs(&silver))
            .await?;
        shop.bronze(&[]).await?;
    }
    // Silver begins anew after the day of the first order was corrected; its versions begin at 0 again.
    shop.bronze(&[event("d", "1-1", "2010-12-07T10:00:00Z", 1)]).await?;
    shop.remove("silver/order_lines")?;
    let silver = shop
        .run(Stage::Silver, "silver-4", 1, shop.bronze_version().await?)
        .await?;
    assert_eq!(silver.outputs[0].version, 1);
    let report = shop.run(Stage::Gold, "gold-4", 1, inputs(&silver)).await?;
    assert!(!report.already_committed);
    let (days, value) = gold(&shop).await?;
    assert_eq!(days, ["2010-12-02 1", "2010-12-03 1", "2010-12-07 1"]);
    assert_eq!(value, ["3 15.00"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_with_rows_of_somebody_else_is_not_published_to() -> anyhow::Result<()> {
    let (shop, ..) = Shop::started().await?;
    shop.forget_positions("silver/order_lines").await?;
    let error = shop
        .run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await
        .unwrap_err();
    assert!(matches!(error, RunError::Foreign { .. }), "{error}");
    assert!(error.to_string().contains("order_lines"), "{error}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn another_pipelines_tables_are_refused_before_anything_is_built() -> anyhow::Result<()> {
    let (shop, silver, _) = Shop::started().await?;
    shop.bronze(&[event("d", "4-1", "2010-12-02T10:00:00Z", 4)]).await?;
    let other = shop.of_pipeline("copy");
    for (stage, inputs) in [
        (Stage::Silver, shop.bronze_version().await?),
        (Stage::Gold, inputs(&silver)),
    ] {
        let error = other.run(stage, "run-of-copy", 1, inputs).await.unwrap_err();
        assert!(
            matches!(&error, RunError::OwnedByOthers(refusals) if refusals.iter().all(|refusal| {
                matches!(refusal, LakeError::OwnedByAnother { owner: Some(owner), .. } if owner == "test/shop/purchases")
            })),
            "{error}"
        );
        assert!(
            error.to_string().contains("medallion.dev/adopt: test/shop/purchases"),
            "{error}"
        );
        let error = WorkerError::from(error);
        assert_eq!(
            (error.class, &error.reason),
            (ErrorClass::Record, &Reason::OwnedByAnother)
        );
    }
    assert_eq!(
        shop.rows("silver/order_lines", &["order_id"]).await?,
        ["1-1", "2-1", "3-1"]
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn of_tables_that_another_pipeline_takes_over_no_row_of_another_bronze_stays() -> anyhow::Result<()> {
    let (shop, ..) = Shop::started().await?;
    let other = shop.displaced_by("copy").await?;
    // One day of the displaced pipeline, and one order of it; its other days and orders are touched by nothing.
    other
        .bronze(&[
            event("x", "2-1", "2010-12-02T11:00:00Z", 4),
            event("y", "9-1", "2010-12-09T11:00:00Z", 1),
        ])
        .await?;
    let silver = other
        .run(Stage::Silver, "copy-silver-1", 1, other.bronze_version().await?)
        .await?;
    assert_eq!(
        shop.rows("silver/order_lines", &["order_id", "event_id"]).await?,
        ["2-1 x", "9-1 y"]
    );
    other.run(Stage::Gold, "copy-gold-1", 1, inputs(&silver)).await?;
    let (days, value) = gold(&shop).await?;
    assert_eq!(days, ["2010-12-02 1", "2010-12-09 1"]);
    assert_eq!(value, ["2 12.50"]);

    // From then on it goes on as any other.
    let before = shop.files("silver/order_lines").await?;
    other.bronze(&[event("z", "3-1", "2010-12-03T11:00:00Z", 1)]).await?;
    let silver = other
        .run(Stage::Silver, "copy-silver-2", 1, other.bronze_version().await?)
        .await?;
    other.run(Stage::Gold, "copy-gold-2", 1, inputs(&silver)).await?;
    let now = shop.files("silver/order_lines").await?;
    assert_eq!(now.get("2010-12-09"), before.get("2010-12-09"));
    assert_eq!(gold(&shop).await?.1, ["3 15.00"]);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_project_is_told_from_the_one_whose_rows_still_stand() -> anyhow::Result<()> {
    let (shop, silver, gold) = Shop::started().await?;
    let before = silver.outputs[0].project.clone();
    assert!(before.is_some());
    for table in silver.outputs.iter().chain(&gold.outputs) {
        assert_eq!((&table.project, &table.oldest_project), (&before, &None), "{table:?}");
    }

    // Nothing of it is asked for, but a macro may be anything to a model.
    let changed = shop.with_project_file("macros/rule.sql", "{% macro rule() %}the new one{% endmacro %}")?;
    shop.bronze(&[event("d", "4-1", "2010-12-02T10:00:00Z", 4)]).await?;
    let silver = changed
        .run(Stage::Silver, "silver-2", 1, shop.bronze_version().await?)
        .await?;
    let now = silver.outputs[0].project.clone();
    assert!(now.is_some() && now != before);
    assert_eq!(silver.outputs[0].oldest_project, before, "two days are of the old one");

    let gold = changed.run(Stage::Gold, "gold-2", 1, inputs(&silver)).await?;
    for table in &gold.outputs {
        let oldest = if table.name == "customer_value" {
            None
        } else {
            before.clone()
        };
        assert_eq!(
            (&table.project, &table.oldest_project),
            (&now, &oldest),
            "{}: only what is replaced whole is all of the new one",
            table.name
        );
    }
    let again = changed.run(Stage::Gold, "gold-3", 1, inputs(&silver)).await?;
    assert!(again.already_committed);
    assert_eq!(again.outputs, gold.outputs, "what the logs say, not what the run did");
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_that_keeps_state_is_refused_with_all_that_is_wrong_with_it() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    let changed = shop
        .with_project_file(
            "models/marts/gold/growing.sql",
            "{{ config(materialized='incremental', alias='other') }} select * from {{ ref('order_lines') }}",
        )?
        .with_file_too(
            "snapshots/history.sql",
            "{% snapshot history %}{{ config(unique_key='a', strategy='check', check_cols='all', tags=['silver']) }}
             select 1 as a {% endsnapshot %}",
        )?;
    let error = changed
        .run(Stage::Silver, "silver-1", 1, shop.bronze_version().await?)
        .await
        .unwrap_err();
    let text = error.to_string();
    for words in [
        "4 findings",
        "growing (models/marts/gold/growing.sql): materialized: incremental",
        "growing (models/marts/gold/growing.sql): alias other",
        "source('silver', 'order_lines_touched')",
        "history (snapshots/history.sql): a snapshot",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
    let error = WorkerError::from(error);
    assert_eq!(
        (error.class, &error.reason),
        (ErrorClass::Record, &Reason::DbtProjectUnfit)
    );
    assert!(shop.files("silver/order_lines").await?.is_empty());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_project_is_named_and_nothing_is_published() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    let cases = [
        (
            "models/marts/silver/order_lines.sql",
            "select nonsense from nowhere",
            "order_lines",
            "nowhere",
        ),
        (
            "tests/no_line_is_good_enough.sql",
            "select * from {{ ref('order_lines') }}",
            "no_line_is_good_enough",
            "Got 3 results",
        ),
        (
            "models/staging/needs.sql",
            "select '{{ env_var(\"NOT_SET_ANYWHERE\") }}' as one",
            "needs.sql",
            "NOT_SET_ANYWHERE",
        ),
        (
            "models/staging/wants.sql",
            "select '{{ var(\"named_nowhere\") }}' as one",
            "wants",
            "named_nowhere",
        ),
    ];
    for (path, content, node, words) in cases {
        let broken = shop.with_project_file(path, content)?;
        let error = broken
            .run(Stage::Silver, "silver-1", 1, shop.bronze_version().await?)
            .await
            .unwrap_err();
        let text = error.to_string();
        assert!(matches!(error, RunError::Project { .. }), "{path}: {text}");
        assert!(text.contains(node) && text.contains(words), "{path}: {text}");
        assert!(shop.files("silver/order_lines").await?.is_empty(), "{path}");
    }
    shop.run(Stage::Silver, "silver-1", 2, shop.bronze_version().await?)
        .await?;
    assert_eq!(
        shop.files("silver/order_lines").await?.len(),
        3,
        "with the project mended the same run succeeds"
    );
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_was_overtaken_while_it_computed_commits_nothing() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    let inputs = shop.bronze_version().await?;
    let (one, other) = tokio::join!(
        shop.run(Stage::Silver, "silver-1", 1, inputs.clone()),
        shop.run(Stage::Silver, "silver-2", 1, inputs.clone())
    );
    let fenced = [&one, &other]
        .into_iter()
        .filter(|outcome| matches!(outcome, Err(RunError::Fenced { .. })))
        .count();
    let done = [&one, &other].into_iter().filter(|outcome| outcome.is_ok()).count();
    assert_eq!((done, fenced + done), (1, 2), "{one:?} {other:?}");
    assert_eq!(
        shop.rows("silver/order_lines", &["order_id"]).await?,
        ["1-1", "2-1", "3-1"]
    );
    Ok(())
}

#[test]
fn the_python_package_passes_its_own_tests() -> anyhow::Result<()> {
    let python = shop::python()?;
    let output = std::process::Command::new(&python.interpreter)
        .args(["-m", "unittest", "discover", "--start-directory"])
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python"))
        .env("PYTHONPATH", python.package.unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

#[test]
fn the_shops_project_builds_on_nothing_and_passes_its_unit_tests() -> anyhow::Result<()> {
    let python = shop::python()?;
    let scratch = tempfile::tempdir()?;
    let output = std::process::Command::new(&python.interpreter)
        .args([
            "-m",
            "medallion_dbt.trial",
            "--project",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../../dbt"),
            "--scratch",
        ])
        .arg(scratch.path())
        .env("PYTHONPATH", python.package.unwrap_or_default())
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env(dbt_runner::driver::SCRATCH_VARIABLE, scratch.path())
        .output()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
