//! What a project's SQL and macros cannot reach in a run: other files, the worker's variables, and what a profile would open.

use anyhow::Context;
use dbt_runner::error::RunError;
use medallion_crds::Stage;
use worker_kit::{ErrorClass, WorkerError};

use crate::shop::{Shop, three_days};

/// What a run of Silver says of a project with one more file.
async fn refused(shop: &Shop, path: &str, content: &str) -> anyhow::Result<RunError> {
    said(&shop.with_project_file(path, content)?).await
}

/// What a run of Silver says that fails and publishes nothing.
async fn said(shop: &Shop) -> anyhow::Result<RunError> {
    let error = shop
        .run(Stage::Silver, "silver-1", 1, shop.bronze_version().await?)
        .await
        .expect_err("the run fails");
    assert!(shop.files("silver/order_lines").await?.is_empty(), "{error}");
    Ok(error)
}

#[tokio::test(flavor = "multi_thread")]
async fn sql_that_reaches_for_more_than_the_run_s_files_is_refused_in_words() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    let folder = tempfile::tempdir()?;
    let token = folder.path().join("token");
    std::fs::write(&token, "the service account's")?;
    let (token, out) = (token.display(), folder.path().join("out.csv"));
    let asked = |statement: &str| {
        format!("{{% if execute %}}{{% do run_query(\"{statement}\") %}}{{% endif %}} select 1 as one")
    };
    let cases = [
        ("reads_a_token", format!("select content from read_text('{token}')")),
        (
            "reads_variables",
            "select content from read_text('/proc/self/environ')".to_owned(),
        ),
        ("copies", asked(&format!("copy (select 1) to '{}'", out.display()))),
        (
            "attaches",
            asked(&format!("attach '{}/other.duckdb'", folder.path().display())),
        ),
        ("installs", asked("install spatial")),
        ("loads", asked("load spatial")),
        ("changes", asked("set enable_external_access = true")),
        ("unlocks", asked("set lock_configuration = false")),
    ];
    let mut changed = shop.with_project_file("models/staging/harmless.sql", "select 1 as one")?;
    for (name, sql) in &cases {
        changed = changed.with_file_too(&format!("models/staging/{name}.sql"), sql)?;
    }
    let error = said(&changed).await?;
    let text = error.to_string();
    // dbt runs them all, and each has failed; the first that has says why, the others in the run's artifacts.
    let failed = matches!(&error, RunError::Project { count, .. } if usize::try_from(*count).ok() == Some(cases.len()));
    assert!(failed && text.contains("as events or as a seed"), "{text}");
    assert!(!text.contains("the service account's"), "{text}");
    // A project does not mend itself: nobody tries again.
    assert_eq!(WorkerError::from(error).class, ErrorClass::Record);
    assert!(!out.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_s_variables_are_not_dbt_s() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    // One of them is set, or these tests would have no Python.
    let known = ["MEDALLION_PYTHON", "MEDALLION_STACK"];
    let set = known.into_iter().find(|name| std::env::var_os(name).is_some());
    let name = set.context("neither is set")?;
    let sql = format!("select '{{{{ env_var(\"{name}\") }}}}' as one");
    let error = refused(&shop, "models/staging/asks.sql", &sql).await?;
    let text = error.to_string();
    for words in [name, "models/staging/asks.sql", "begin with DBT_"] {
        assert!(text.contains(words), "{text}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_that_opens_more_is_refused_before_it_is_used() -> anyhow::Result<()> {
    let shop = Shop::open().await?;
    shop.bronze(&three_days()).await?;
    let profile = std::fs::read_to_string(crate::shop::project().join("profiles.yml"))?;
    for (line, words) in [
        ("extensions: [spatial]", "extensions opens"),
        ("attach: [{path: /lake/other.duckdb}]", "attach opens"),
        ("module_paths: [python]", "module_paths opens"),
        ("settings: {threads: 64}", "settings (threads)"),
    ] {
        let error = refused(
            &shop,
            "profiles.yml",
            &format!("{}\n      {line}\n", profile.trim_end()),
        )
        .await?;
        let text = error.to_string();
        assert!(matches!(error, RunError::Unfit(_)), "{line}: {text}");
        assert!(text.contains("profiles.yml") && text.contains(words), "{line}: {text}");
    }
    let without = profile.replace("medallion_dbt.plugin", "excel");
    let error = refused(&shop, "profiles.yml", &without).await?;
    assert!(error.to_string().contains("plugins must be"), "{error}");
    Ok(())
}
