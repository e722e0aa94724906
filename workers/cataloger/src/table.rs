//! A table as it is to stand in the catalog, as it stands there, and what follows from the two. No network.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::{Field, Schema};
use medallion_lake::{Judgement, judge};

use crate::error::{CatalogError, Refusal};
use crate::hive;

/// The parameter that names a table's owner, `installation/namespace/name`.
pub const OWNER: &str = "medallion.owner";
/// The parameter with the Delta table's own id: another one is another table at the place.
pub const TABLE_ID: &str = "medallion.table-id";
/// What a Delta table's field says about itself, by Delta's own key.
const COMMENT: &str = "comment";
/// Most characters of a comment that Glue takes.
const COMMENT_CHARACTERS: usize = 255;

/// One column.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Column {
    /// In small letters: the catalog knows no others.
    pub name: String,
    /// Its type, in Hive's words.
    pub type_name: String,
    /// What it is about.
    pub comment: Option<String>,
}

/// What the catalog says of a table, or is to say.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Description {
    /// Address of the Delta table, without a slash at the end.
    pub location: String,
    /// All columns in the table's order, those of partitions included.
    pub columns: Vec<Column>,
    /// Our parameters and those by which engines know a Delta table.
    pub parameters: BTreeMap<String, String>,
}

/// What stands in the catalog under a table's name.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// What it says.
    pub description: Description,
    /// Its version, which an update names, so that nobody's change between is lost.
    pub version: Option<String>,
    /// Parameters of others, which stay.
    pub others: BTreeMap<String, String>,
}

/// What is to be done with one table.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Step {
    /// Nothing: it stands there as it is to be.
    Leave,
    /// It is not there.
    Create(Description),
    /// It differs; the parameters of others are among the description's.
    Update(Description, Option<String>),
}

/// Who registers, and what may be taken over.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claimant {
    /// The Pipeline, as tables name it.
    pub owner: String,
    /// What the Pipeline's annotation names: owners that are displaced, and tables (`database.table`) that nobody owns.
    pub adopt: Vec<String>,
}

/// How a table of the lake is to be described.
pub fn describe(
    table: &str,
    location: &str,
    table_id: &str,
    schema: &Schema,
    owner: &str,
) -> Result<Description, CatalogError> {
    let mut names = BTreeSet::new();
    let mut columns = Vec::with_capacity(schema.fields().len());
    for field in schema.fields() {
        let column = column(table, field)?;
        if !names.insert(column.name.clone()) {
            return Err(CatalogError::Clash {
                table: table.to_owned(),
                column: column.name,
            });
        }
        columns.push(column);
    }
    let parameters = [
        ("EXTERNAL", "TRUE"),
        // By these Athena and Spark know a Delta table, and read its log instead of listing files.
        ("table_type", "DELTA"),
        ("spark.sql.sources.provider", "delta"),
        ("classification", "delta"),
        (OWNER, owner),
        (TABLE_ID, table_id),
    ];
    Ok(Description {
        location: location.trim_end_matches('/').to_owned(),
        columns,
        parameters: parameters
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
    })
}

fn column(table: &str, field: &Field) -> Result<Column, CatalogError> {
    let type_name = hive::type_name(field.data_type()).map_err(|data_type| CatalogError::Type {
        table: table.to_owned(),
        column: field.name().clone(),
        data_type: data_type.to_string(),
    })?;
    let comment = field.metadata().get(COMMENT).filter(|text| !text.is_empty());
    Ok(Column {
        name: field.name().to_lowercase(),
        type_name,
        comment: comment.map(|text| text.chars().take(COMMENT_CHARACTERS).collect()),
    })
}

impl Claimant {
    /// What follows for a table (`database.table`) from what stands there and what is to stand there.
    pub fn step(&self, name: &str, found: Option<Found>, wanted: Description) -> Result<Step, Refusal> {
        let Some(found) = found else {
            return Ok(Step::Create(wanted));
        };
        let owner = found.description.parameters.get(OWNER).map(String::as_str);
        match judge(owner, &self.owner, &self.adopt) {
            Judgement::Ours if found.description == wanted => return Ok(Step::Leave),
            Judgement::Ours | Judgement::Adopted(_) => {}
            Judgement::Unowned if self.adopt.iter().any(|adopted| adopted == name) => {}
            Judgement::Unowned => return Err(Refusal::Unknown { table: name.to_owned() }),
            Judgement::Another(owner) => {
                return Err(Refusal::Owned {
                    table: name.to_owned(),
                    owner,
                });
            }
        }
        let mut description = wanted;
        for (key, value) in found.others {
            description.parameters.entry(key).or_insert(value);
        }
        Ok(Step::Update(description, found.version))
    }
}

#[cfg(test)]
mod tests {
    use arrow::datatypes::DataType;

    use super::*;

    const TABLE: &str = "shop.orders";

    fn claimant(adopt: &[&str]) -> Claimant {
        Claimant {
            owner: "here/shop/orders".to_owned(),
            adopt: adopt.iter().map(|value| (*value).to_owned()).collect(),
        }
    }

    fn schema(columns: &[(&str, DataType)]) -> Schema {
        let fields = columns
            .iter()
            .map(|(name, data_type)| Field::new(*name, data_type.clone(), true));
        Schema::new(fields.collect::<Vec<_>>())
    }

    fn wanted(owner: &str) -> Description {
        let schema = schema(&[("order_id", DataType::Utf8), ("Total", DataType::Decimal128(18, 2))]);
        describe("orders", "s3://shop-gold/orders/", "a-b", &schema, owner).unwrap()
    }

    fn found(description: Description) -> Found {
        Found {
            description,
            version: Some("3".to_owned()),
            others: [("team".to_owned(), "sales".to_owned())].into(),
        }
    }

    #[test]
    fn a_table_is_described_by_its_place_its_columns_and_its_owner() {
        let description = wanted("here/shop/orders");
        assert_eq!(description.location, "s3://shop-gold/orders");
        let columns: Vec<_> = description
            .columns
            .iter()
            .map(|column| (column.name.as_str(), column.type_name.as_str()))
            .collect();
        assert_eq!(columns, [("order_id", "string"), ("total", "decimal(18,2)")]);
        assert_eq!(description.parameters["table_type"], "DELTA");
        assert_eq!(description.parameters[OWNER], "here/shop/orders");
    }

    #[test]
    fn a_comment_is_kept_as_far_as_the_catalog_takes_it() {
        let long = "é".repeat(300);
        let field =
            Field::new("note", DataType::Utf8, true).with_metadata(BTreeMap::from([(COMMENT.to_owned(), long)]));
        let description = describe("t", "s3://b/t", "id", &Schema::new(vec![field]), "o").unwrap();
        assert_eq!(
            description.columns[0].comment.as_ref().unwrap().chars().count(),
            COMMENT_CHARACTERS
        );
    }

    #[test]
    fn two_columns_that_differ_by_capitals_alone_are_refused() {
        let schema = schema(&[("Total", DataType::Utf8), ("total", DataType::Utf8)]);
        let error = describe("orders", "s3://b/orders", "id", &schema, "o").unwrap_err();
        assert!(error.to_string().contains("total"), "{error}");
    }

    #[test]
    fn what_stands_as_it_is_to_be_is_left_and_the_rest_follows() {
        let ours = wanted("here/shop/orders");
        let step = |found| claimant(&[]).step(TABLE, found, ours.clone()).unwrap();
        assert_eq!(step(None), Step::Create(ours.clone()));
        assert_eq!(step(Some(found(ours.clone()))), Step::Leave);
        let mut older = ours.clone();
        older.columns.pop();
        let Step::Update(description, version) = step(Some(found(older))) else {
            panic!("a column is missing");
        };
        assert_eq!(version.as_deref(), Some("3"));
        assert_eq!(description.columns, ours.columns);
        assert_eq!(description.parameters["team"], "sales", "what others say stays");
    }

    #[test]
    fn a_table_of_another_owner_or_of_nobody_is_refused_until_it_is_named() {
        let ours = wanted("here/shop/orders");
        let theirs = found(wanted("here/other/orders"));
        let refusal = claimant(&[])
            .step(TABLE, Some(theirs.clone()), ours.clone())
            .unwrap_err();
        assert!(
            refusal.to_string().contains("medallion.dev/adopt: here/other/orders"),
            "{refusal}"
        );
        let mut nobodys = theirs.clone();
        nobodys.description.parameters.remove(OWNER);
        let refusal = claimant(&[])
            .step(TABLE, Some(nobodys.clone()), ours.clone())
            .unwrap_err();
        assert!(
            refusal.to_string().contains("medallion.dev/adopt: shop.orders"),
            "{refusal}"
        );
        for (adopt, found) in [("here/other/orders", theirs), (TABLE, nobodys)] {
            let step = claimant(&[adopt]).step(TABLE, Some(found), ours.clone()).unwrap();
            assert!(matches!(step, Step::Update(..)), "{step:?}");
        }
    }
}
