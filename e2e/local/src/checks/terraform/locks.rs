//! The state's lock over the real protocols: while somebody else holds it, an apply is refused; without, the state is stored. Touches loopback
//! alone.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use super::environments;
use super::moto::Moto;
use super::report::Report;
use super::workspace::Workspace;
use crate::run::{self, Ended};

const ENVIRONMENT: &str = "environments/dev";
/// Where the environment keeps its state, as its `backend.tf` says.
const STATE: &str = "medallion/dev.tfstate";
/// The body of the request for a bucket that is not in S3's first region.
const PLACE: &str = "<CreateBucketConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\
                     <LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
/// Who holds the foreign lock.
const SOMEBODY: &str = "somebody@elsewhere";

/// Both kinds of locks, with the backend that the bootstrap root makes for each.
pub async fn check(workspace: &Workspace, report: &Report<'_>) {
    let Some(moto) = report
        .check("moto starts", Moto::start(&workspace.tools.moto, &workspace.folder))
        .await
    else {
        return;
    };
    let file = refused(workspace, &moto, "S3");
    report.check("a foreign lock file refuses the apply", file).await;
    let item = refused(workspace, &moto, "DynamoDB");
    report.check("a foreign lock item refuses the apply", item).await;
}

async fn refused(workspace: &Workspace, moto: &Moto, lock: &str) -> Result<()> {
    let tree = workspace.copy(&format!("lock-{lock}"))?;
    let backend = Backend::make(workspace, &tree.join("bootstrap"), lock).await?;
    let folder = tree.join(ENVIRONMENT);
    environments::values(&folder)?;
    fs::write(
        folder.join("backend.hcl"),
        format!("{}{}", backend.text, endpoints(&moto.address)),
    )?;
    moto.s3("PUT", &format!("/{}", backend.bucket), PLACE).await?;
    if let Some(table) = &backend.table {
        moto.dynamodb("CreateTable", &lock_table(table)).await?;
    }
    let init = ["init", "-no-color", "-backend-config=backend.hcl"];
    workspace.done(&folder, &init).await?;
    backend.take(moto).await?;
    let apply = ["apply", "-no-color", "-auto-approve"];
    let Ended { code, text } = run::ended(&mut workspace.tofu(&folder, &apply)).await?;
    ensure!(code == Some(1), "the apply went on: {}", text.trim());
    for words in ["Error acquiring the state lock", SOMEBODY] {
        ensure!(text.contains(words), "refused, but not with `{words}`: {}", text.trim());
    }
    backend.free(moto).await?;
    workspace.done(&folder, &apply).await?;
    let stored = moto.s3("GET", &format!("/{}/{STATE}", backend.bucket), "").await?;
    ensure!(stored.contains("\"serial\""), "what is stored is no state: {stored}");
    Ok(())
}

/// What the bootstrap root says of the place of the states.
struct Backend {
    text: String,
    bucket: String,
    /// With locking by a table.
    table: Option<String>,
}

impl Backend {
    async fn make(workspace: &Workspace, folder: &Path, lock: &str) -> Result<Self> {
        workspace.done(folder, &["init", "-no-color"]).await?;
        // One server has both.
        let bucket = format!("-var=bucket_name=states-by-{}", lock.to_lowercase());
        let lock = format!("-var=lock={lock}");
        let account = "-var=account_id=123456789012";
        let apply = ["apply", "-no-color", "-auto-approve", account, &bucket, &lock];
        workspace.done(folder, &apply).await?;
        let outputs = workspace.json(folder, &["output", "-json"]).await?;
        let text = outputs["backend_config"]["value"]
            .as_str()
            .context("bootstrap gives no backend_config")?;
        Ok(Self {
            bucket: setting(text, "bucket").context("backend_config names no bucket")?,
            table: setting(text, "dynamodb_table"),
            text: text.to_owned(),
        })
    }

    /// As another machine would.
    async fn take(&self, moto: &Moto) -> Result<()> {
        let lock = json!({
            "ID": "5c8f5f0e-8e0a-4f0c-9a43-0d8c5d1f6a11",
            "Operation": "OperationTypeApply",
            "Who": SOMEBODY,
            "Created": "2026-01-01T00:00:00Z",
        })
        .to_string();
        match &self.table {
            None => moto.s3("PUT", &self.lock_file(), &lock).await.map(drop),
            Some(table) => {
                let item = json!({"TableName": table, "Item": {"LockID": {"S": self.lock_id()}, "Info": {"S": lock}}});
                moto.dynamodb("PutItem", &item.to_string()).await.map(drop)
            }
        }
    }

    async fn free(&self, moto: &Moto) -> Result<()> {
        match &self.table {
            None => moto.s3("DELETE", &self.lock_file(), "").await.map(drop),
            Some(table) => {
                let item = json!({"TableName": table, "Key": {"LockID": {"S": self.lock_id()}}});
                moto.dynamodb("DeleteItem", &item.to_string()).await.map(drop)
            }
        }
    }

    fn lock_file(&self) -> String {
        format!("/{}/{STATE}.tflock", self.bucket)
    }

    fn lock_id(&self) -> String {
        format!("{}/{STATE}", self.bucket)
    }
}

/// The value of a line `name = "value"`.
fn setting(text: &str, name: &str) -> Option<String> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once('=')?;
        (found.trim() == name).then(|| value.trim().trim_matches('"').to_owned())
    })
}

/// What an account needs no word for.
fn endpoints(address: &str) -> String {
    format!(
        "access_key = \"test\"\nsecret_key = \"test\"\nendpoints = {{ s3 = \"http://{address}\", dynamodb = \"http://{address}\" }}\n\
         use_path_style = true\nskip_credentials_validation = true\nskip_requesting_account_id = true\n\
         skip_metadata_api_check = true\nskip_region_validation = true\n"
    )
}

fn lock_table(name: &str) -> String {
    json!({
        "TableName": name,
        "BillingMode": "PAY_PER_REQUEST",
        "KeySchema": [{"AttributeName": "LockID", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "LockID", "AttributeType": "S"}],
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_found_by_its_whole_name() {
        let text = "bucket     = \"shop-states\"\nuse_lockfile = true\n";
        assert_eq!(setting(text, "bucket").as_deref(), Some("shop-states"));
        assert_eq!(setting(text, "dynamodb_table"), None);
        assert_eq!(setting(text, "buck"), None);
    }
}
