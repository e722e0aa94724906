//! One version of a table: schema, positions, files. Reads the log when its files are listed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::{Field, Schema, SchemaRef};
use delta_kernel::engine::arrow_conversion::TryIntoArrow;
use delta_kernel::engine_data::FilteredEngineData;
use delta_kernel::scan::state::ScanFile;
use delta_kernel::snapshot::SnapshotRef;
use serde_json::Value;

use crate::error::LakeError;
use crate::partition::PartitionValues;
use crate::table::{Table, blocking};

/// Property of a table that names its owner.
pub const OWNER_PROPERTY: &str = "medallion.owner";

/// A file of one version of a table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DataFile {
    /// Name under the table's root, decoded.
    pub name: String,
    /// Whole address, decoded, as engines such as DuckDB want it.
    pub url: String,
    /// Size in bytes.
    pub size: u64,
    /// Rows, if the log says so.
    pub rows: Option<u64>,
    /// The partition all rows belong to.
    pub partition: PartitionValues,
}

/// One version of a table. Cheap to clone.
#[derive(Clone)]
pub struct Snapshot {
    table: Table,
    kernel: SnapshotRef,
    schema: SchemaRef,
    partition_columns: Arc<[String]>,
    positions: Arc<BTreeMap<String, Value>>,
}

impl Snapshot {
    /// The table's version.
    pub fn version(&self) -> u64 {
        self.kernel.version()
    }

    /// The table's address.
    pub fn address(&self) -> &str {
        self.table.address()
    }

    /// What tells the table from another one at the same address.
    pub fn table_id(&self) -> &str {
        self.kernel.table_configuration().metadata().id()
    }

    /// The schema, partition columns included.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The partition columns, in order.
    pub fn partition_columns(&self) -> &[String] {
        &self.partition_columns
    }

    /// The columns of a schema that this version of the table does not have yet.
    pub fn missing_columns(&self, schema: &Schema) -> Vec<Field> {
        let known = |field: &Field| self.schema().field_with_name(field.name()).is_ok();
        schema
            .fields()
            .iter()
            .filter(|field| !known(field))
            .map(|field| field.as_ref().clone())
            .collect()
    }

    /// Who owns the table: what its property says.
    pub fn owner(&self) -> Option<&str> {
        let properties = self.kernel.table_configuration().metadata().configuration();
        properties.get(OWNER_PROPERTY).map(String::as_str)
    }

    /// One position.
    pub fn position(&self, domain: &str) -> Option<&Value> {
        self.positions.get(domain)
    }

    /// All positions.
    pub fn positions(&self) -> &BTreeMap<String, Value> {
        &self.positions
    }

    /// The positions whose domain begins with a prefix, without the prefix.
    pub fn positions_under<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a Value)> {
        self.positions
            .iter()
            .filter_map(move |(domain, value)| Some((domain.strip_prefix(prefix)?, value)))
    }

    /// All files of this version.
    pub async fn files(&self) -> Result<Vec<DataFile>, LakeError> {
        let snapshot = self.clone();
        blocking(move || {
            let mut files = Vec::new();
            snapshot.scan(|_, found| files.extend(found))?;
            Ok(files)
        })
        .await
    }

    pub(crate) fn kernel(&self) -> &SnapshotRef {
        &self.kernel
    }

    pub(crate) fn table(&self) -> &Table {
        &self.table
    }

    /// Loads what belongs to a version. Blocks.
    pub(crate) fn load(table: &Table, kernel: SnapshotRef) -> Result<Self, LakeError> {
        let domains = kernel
            .get_all_domain_metadata(table.engine())
            .map_err(LakeError::log(format!("read positions of {}", table.address())))?;
        let positions = domains
            .iter()
            .map(|domain| (domain.domain().to_owned(), position_value(domain.configuration())));
        let positions = positions.collect();
        Self::with_positions(table, kernel, positions)
    }

    /// A version whose positions are known already, because this process has just written them.
    pub(crate) fn with_positions(
        table: &Table,
        kernel: SnapshotRef,
        positions: BTreeMap<String, Value>,
    ) -> Result<Self, LakeError> {
        let schema: Schema = kernel
            .schema()
            .as_ref()
            .try_into_arrow()
            .map_err(|error| LakeError::Unsupported {
                table: table.address().to_owned(),
                feature: format!("a schema that arrow does not know: {error}"),
            })?;
        let partition_columns = kernel.table_configuration().logical_partition_columns().into();
        Ok(Self {
            table: table.clone(),
            kernel,
            schema: Arc::new(schema),
            partition_columns,
            positions: Arc::new(positions),
        })
    }

    /// Goes through the files in the log's own batches, each beside the files that it names in order. Blocks.
    pub(crate) fn scan(&self, mut each: impl FnMut(FilteredEngineData, Vec<DataFile>)) -> Result<(), LakeError> {
        let engine = self.table.engine();
        let failed = || {
            LakeError::log(format!(
                "list files of {} at version {}",
                self.table.address(),
                self.version()
            ))
        };
        let scan = Arc::clone(&self.kernel).scan_builder().build().map_err(failed())?;
        for batch in scan.scan_metadata(engine).map_err(failed())? {
            let batch = batch.map_err(failed())?;
            let scanned = batch.visit_scan_files(Vec::new(), |all: &mut Vec<ScanFile>, file| all.push(file));
            let files = scanned.map_err(failed())?.into_iter().map(|file| self.data_file(file));
            let files = files.collect::<Result<Vec<_>, _>>()?;
            each(batch.scan_files, files);
        }
        Ok(())
    }

    fn data_file(&self, file: ScanFile) -> Result<DataFile, LakeError> {
        if file.dv_info.has_vector() {
            return Err(LakeError::Unsupported {
                table: self.table.address().to_owned(),
                feature: "deletion vectors".to_owned(),
            });
        }
        let partition = self
            .partition_columns
            .iter()
            .map(|column| (column.clone(), file.partition_values.get(column).cloned()))
            .collect();
        let (name, url) = self.table.locate(&file.path)?;
        Ok(DataFile {
            name,
            url,
            size: u64::try_from(file.size).unwrap_or_default(),
            rows: file.stats.map(|statistics| statistics.num_records),
            partition,
        })
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Snapshot")
            .field("table", &self.table.address())
            .field("version", &self.version())
            .field("positions", &self.positions)
            .finish_non_exhaustive()
    }
}

/// A position as the log has it: JSON where it is JSON, else its text.
pub(crate) fn position_value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.to_owned()))
}
