//! The lake as the cataloger reads it: which tables a layer has, and their newest schemas. Talks to object storage.

use aws_config::SdkConfig;
use medallion_crds::launch::{LakeSettings, RunSettings};
use medallion_lake::{LakeError, LakeStore, Snapshot, Table};

use crate::error::CatalogError;
use crate::table::{Description, describe};

/// A table to register.
pub struct Registrable {
    /// Its name in the lake and in the catalog.
    pub name: String,
    /// How it is to stand in the catalog.
    pub description: Description,
    /// Version of the Delta table that the description is of.
    pub version: u64,
}

/// The layers.
pub struct Lake {
    store: LakeStore,
    silver: String,
    gold: String,
}

impl Lake {
    pub fn new(configuration: &SdkConfig, settings: &LakeSettings) -> Result<Self, CatalogError> {
        for (layer, address) in [("silver", &settings.silver), ("gold", &settings.gold)] {
            if !address.starts_with("s3://") {
                return Err(CatalogError::Address { layer });
            }
        }
        Ok(Self {
            store: LakeStore::s3(configuration).map_err(failed("*"))?,
            silver: settings.silver.trim_end_matches('/').to_owned(),
            gold: settings.gold.trim_end_matches('/').to_owned(),
        })
    }

    /// The Gold tables that a run names, at their versions.
    pub async fn gold(&self, run: &RunSettings, owner: &str) -> Result<Vec<Registrable>, CatalogError> {
        let mut tables = Vec::with_capacity(run.inputs.len());
        for input in &run.inputs {
            let address = format!("{}/{}", self.gold, input.name);
            let table = self.store.table(&address).map_err(failed(&address))?;
            let version = u64::try_from(input.version).unwrap_or_default();
            let snapshot = table.snapshot_at(version).await.map_err(failed(&address))?;
            tables.push(registrable(&input.name, &address, &snapshot, owner)?);
        }
        Ok(tables)
    }

    /// The Silver tables of this owner, as they are now. What others keep in the bucket is theirs.
    pub async fn silver(&self, owner: &str) -> Result<Vec<Registrable>, CatalogError> {
        let mut tables = Vec::new();
        for (name, table) in self.store.tables(&self.silver).await.map_err(failed(&self.silver))? {
            if let Some(snapshot) = own(&table, owner).await.map_err(failed(table.address()))? {
                tables.push(registrable(&name, table.address(), &snapshot, owner)?);
            }
        }
        Ok(tables)
    }
}

async fn own(table: &Table, owner: &str) -> Result<Option<Snapshot>, LakeError> {
    let snapshot = table.snapshot().await?;
    Ok(snapshot.filter(|snapshot| snapshot.owner() == Some(owner)))
}

fn registrable(name: &str, address: &str, snapshot: &Snapshot, owner: &str) -> Result<Registrable, CatalogError> {
    Ok(Registrable {
        name: name.to_owned(),
        description: describe(name, address, snapshot.table_id(), snapshot.schema(), owner)?,
        version: snapshot.version(),
    })
}

fn failed(table: &str) -> impl FnOnce(LakeError) -> CatalogError {
    let table = table.to_owned();
    move |source| CatalogError::Lake { table, source }
}
