//! Bronze rows: changes of the table as Arrow batches, one per partition. No network.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Decimal128Builder, Float64Builder, Int64Builder, RecordBatch,
    StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::cell::Cell;
use crate::column::{Column, ColumnType};
use crate::contract::Contract;
use crate::document::Node;

/// Partition column of Bronze: UTC date of the change, `YYYY-MM-DD`. It stands in the table's schema, not in the files.
pub const PARTITION_COLUMN: &str = "part_date";

/// Bytes that a row costs beside its texts.
const ROW_OVERHEAD: usize = 128;

/// What happened to an item.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChangeKind {
    /// The item is new.
    Insert,
    /// The item was overwritten, by somebody else: the pipeline itself never does.
    Modify,
    /// The item was deleted or has expired.
    Remove,
}

impl ChangeKind {
    /// The word in Bronze.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Insert => "INSERT",
            Self::Modify => "MODIFY",
            Self::Remove => "REMOVE",
        }
    }
}

/// One change of an item, as the stream has it.
#[derive(Clone, Copy, Debug)]
pub struct Change<'c> {
    /// What happened.
    pub kind: ChangeKind,
    /// The item's key.
    pub key: &'c str,
    /// The item's event id.
    pub event_id: &'c str,
    /// Contract version stored with the item.
    pub contract: Option<&'c str>,
    /// Payload digest stored with the item.
    pub digest: Option<&'c str>,
    /// When the stream recorded the change.
    pub changed_at: Timestamp,
    /// Shard of the stream.
    pub shard: &'c str,
    /// Sequence number inside the shard.
    pub sequence: &'c str,
    /// Where the event came from, stored with the item.
    pub source: Option<&'c str>,
}

/// The rows of one partition.
#[derive(Clone, Debug)]
pub struct BronzePartition {
    /// Value of [`PARTITION_COLUMN`].
    pub part_date: String,
    /// The rows in the order in which they were appended; schema as [`Contract::bronze_schema`].
    pub batch: RecordBatch,
}

impl Contract {
    /// Schema of a Bronze file: every column but the partition column.
    pub fn bronze_schema(&self) -> SchemaRef {
        let fields: Vec<Field> = self.bronze_columns().iter().map(Column::arrow_field).collect();
        Arc::new(Schema::new(fields))
    }

    /// Schema of the Bronze table: that of a file, and the partition column last.
    pub fn bronze_table_schema(&self) -> SchemaRef {
        let mut fields: Vec<Field> = self.bronze_columns().iter().map(Column::arrow_field).collect();
        fields.push(Field::new(PARTITION_COLUMN, DataType::Utf8, true));
        Arc::new(Schema::new(fields))
    }
}

/// Collects changes into Arrow batches, one per UTC date.
#[derive(Debug)]
pub struct BronzeBatchBuilder {
    contract: Arc<Contract>,
    schema: SchemaRef,
    columns: Vec<Column>,
    partitions: BTreeMap<String, Vec<ColumnBuilder>>,
    rows: usize,
    bytes: usize,
}

impl BronzeBatchBuilder {
    /// An empty builder.
    pub fn new(contract: Arc<Contract>) -> Self {
        let schema = contract.bronze_schema();
        let columns = contract.bronze_columns();
        Self {
            contract,
            schema,
            columns,
            partitions: BTreeMap::new(),
            rows: 0,
            bytes: 0,
        }
    }

    /// Rows since the last [`Self::finish`].
    pub const fn rows(&self) -> usize {
        self.rows
    }

    /// About how many bytes of memory the rows since the last [`Self::finish`] hold.
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds one change. A payload that does not fit the contract is still a row: typed columns are null and `_extra`
    /// holds the whole payload's text.
    pub fn append(&mut self, change: &Change<'_>, payload: Option<&str>) {
        let part_date = change
            .changed_at
            .to_zoned(TimeZone::UTC)
            .strftime("%Y-%m-%d")
            .to_string();
        let builders = self
            .partitions
            .entry(part_date)
            .or_insert_with(|| self.columns.iter().map(ColumnBuilder::new).collect());
        let mut row = RowWriter {
            builders: builders.iter_mut(),
        };

        let document = payload.and_then(|text| self.contract.read(text).ok());
        let typed = document.as_ref().and_then(|document| typed(&self.contract, document));
        let (event_time, version, cells) = match typed {
            Some(typed) => (
                Cell::Timestamp(typed.event_time),
                typed.version.map_or(Cell::Null, Cell::Integer),
                Some(typed.cells),
            ),
            None => (Cell::Null, Cell::Null, None),
        };
        let extra = match (&document, &cells) {
            (Some(document), Some(_)) => unknown_members(&self.contract, document),
            _ => payload.map(str::to_owned),
        };

        row.text(Some(change.kind.as_str()));
        row.text(Some(change.key));
        row.text(Some(change.event_id));
        row.cell(&event_time);
        row.cell(&version);
        row.text(change.contract);
        row.text(change.digest);
        row.cell(&Cell::Timestamp(change.changed_at.as_microsecond()));
        row.text(Some(change.shard));
        row.text(Some(change.sequence));
        row.text(change.source);
        match cells {
            Some(cells) => cells.iter().for_each(|cell| row.cell(cell)),
            None => self.contract.columns().iter().for_each(|_| row.cell(&Cell::Null)),
        }
        row.text(extra.as_deref());

        let texts = [change.contract, change.digest, change.source, payload];
        self.bytes += ROW_OVERHEAD
            + change.key.len()
            + change.event_id.len()
            + change.shard.len()
            + change.sequence.len()
            + texts.iter().flatten().map(|text| text.len()).sum::<usize>();
        self.rows += 1;
    }

    /// The rows so far, and the builder is empty again.
    pub fn finish(&mut self) -> Result<Vec<BronzePartition>, ArrowError> {
        self.rows = 0;
        self.bytes = 0;
        std::mem::take(&mut self.partitions)
            .into_iter()
            .map(|(part_date, builders)| {
                let arrays = builders
                    .into_iter()
                    .map(ColumnBuilder::finish)
                    .collect::<Result<_, _>>()?;
                Ok(BronzePartition {
                    part_date,
                    batch: RecordBatch::try_new(self.schema.clone(), arrays)?,
                })
            })
            .collect()
    }
}

struct Typed<'a> {
    event_time: i64,
    version: Option<i64>,
    cells: Vec<Cell<'a>>,
}

fn typed<'a>(contract: &Contract, document: &'a Node<'a>) -> Option<Typed<'a>> {
    Some(Typed {
        event_time: contract.event_time(document).ok()?.as_microsecond(),
        version: contract.event_version(document).ok()?,
        cells: contract.cells(document).ok()?,
    })
}

/// JSON text of the top-level members that the contract does not name.
fn unknown_members(contract: &Contract, document: &Node<'_>) -> Option<String> {
    let unknown: Vec<String> = document
        .members()
        .iter()
        .filter(|member| !contract.columns().iter().any(|column| column.name == member.name))
        .map(|member| format!("{}:{}", Value::from(member.name.as_ref()), member.value.json_text()))
        .collect();
    (!unknown.is_empty()).then(|| format!("{{{}}}", unknown.join(",")))
}

/// Walks the columns of one row from left to right.
struct RowWriter<'b> {
    builders: std::slice::IterMut<'b, ColumnBuilder>,
}

impl RowWriter<'_> {
    fn text(&mut self, text: Option<&str>) {
        self.cell(&text.map_or(Cell::Null, |text| Cell::Text(text.into())));
    }

    fn cell(&mut self, cell: &Cell<'_>) {
        if let Some(builder) = self.builders.next() {
            builder.append(cell);
        }
    }
}

/// The Arrow builder of one column.
#[derive(Debug)]
enum ColumnBuilder {
    Text(StringBuilder),
    Timestamp(TimestampMicrosecondBuilder),
    Date(Date32Builder),
    Integer(Int64Builder),
    Boolean(BooleanBuilder),
    Double(Float64Builder),
    Decimal {
        builder: Decimal128Builder,
        precision: u8,
        scale: i8,
    },
}

impl ColumnBuilder {
    fn new(column: &Column) -> Self {
        match column.kind {
            ColumnType::Text | ColumnType::Json => Self::Text(StringBuilder::new()),
            ColumnType::Timestamp => Self::Timestamp(TimestampMicrosecondBuilder::new().with_timezone("UTC")),
            ColumnType::Date => Self::Date(Date32Builder::new()),
            ColumnType::Integer => Self::Integer(Int64Builder::new()),
            ColumnType::Boolean => Self::Boolean(BooleanBuilder::new()),
            ColumnType::Double => Self::Double(Float64Builder::new()),
            ColumnType::Decimal { precision, scale } => Self::Decimal {
                builder: Decimal128Builder::new(),
                precision,
                scale: scale.cast_signed(),
            },
        }
    }

    fn append(&mut self, cell: &Cell<'_>) {
        match (self, cell) {
            (Self::Text(builder), Cell::Text(text)) => builder.append_value(text),
            (Self::Timestamp(builder), Cell::Timestamp(value)) => builder.append_value(*value),
            (Self::Date(builder), Cell::Date(value)) => builder.append_value(*value),
            (Self::Integer(builder), Cell::Integer(value)) => builder.append_value(*value),
            (Self::Boolean(builder), Cell::Boolean(value)) => builder.append_value(*value),
            (Self::Double(builder), Cell::Double(value)) => builder.append_value(*value),
            (Self::Decimal { builder, .. }, Cell::Decimal(value)) => builder.append_value(*value),
            (builder, other) => {
                debug_assert!(matches!(other, Cell::Null), "cells are made for their column's type");
                builder.append_null();
            }
        }
    }

    fn append_null(&mut self) {
        match self {
            Self::Text(builder) => builder.append_null(),
            Self::Timestamp(builder) => builder.append_null(),
            Self::Date(builder) => builder.append_null(),
            Self::Integer(builder) => builder.append_null(),
            Self::Boolean(builder) => builder.append_null(),
            Self::Double(builder) => builder.append_null(),
            Self::Decimal { builder, .. } => builder.append_null(),
        }
    }

    fn finish(self) -> Result<ArrayRef, ArrowError> {
        Ok(match self {
            Self::Text(mut builder) => Arc::new(builder.finish()),
            Self::Timestamp(mut builder) => Arc::new(builder.finish()),
            Self::Date(mut builder) => Arc::new(builder.finish()),
            Self::Integer(mut builder) => Arc::new(builder.finish()),
            Self::Boolean(mut builder) => Arc::new(builder.finish()),
            Self::Double(mut builder) => Arc::new(builder.finish()),
            Self::Decimal {
                mut builder,
                precision,
                scale,
            } => Arc::new(builder.finish().with_precision_and_scale(precision, scale)?),
        })
    }
}
