//! Reads `COPY ... FROM 's3://...' ... FORMAT PARQUET MANIFEST`; touches no network.

use super::cursor::Cursor;
use super::error::SqlError;
use super::lexer::{Token, literal_value};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyCommand {
    /// As written, quotes included.
    pub table: String,
    /// Folded names; empty means all columns of the table in their order.
    pub columns: Vec<String>,
    pub manifest: ObjectAddress,
    /// Columns that a file does not have at its end are null.
    pub fill_record: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectAddress {
    pub bucket: String,
    pub key: String,
}

impl ObjectAddress {
    pub fn parse(url: &str) -> Option<Self> {
        let (bucket, key) = url.strip_prefix("s3://")?.split_once('/')?;
        (!bucket.is_empty() && !key.is_empty()).then(|| Self {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
        })
    }
}

impl std::fmt::Display for ObjectAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "s3://{}/{}", self.bucket, self.key)
    }
}

/// Options that Redshift knows for text formats and refuses for columnar ones.
const TEXT_ONLY: &[&str] = &[
    "ACCEPTANYDATE",
    "BLANKSASNULL",
    "BZIP2",
    "COMPROWS",
    "COMPUPDATE",
    "DATEFORMAT",
    "DELIMITER",
    "EMPTYASNULL",
    "ENCODING",
    "ENCRYPTED",
    "ESCAPE",
    "GZIP",
    "IGNOREALLERRORS",
    "IGNOREBLANKLINES",
    "IGNOREHEADER",
    "LZOP",
    "MAXERROR",
    "NOLOAD",
    "NULL",
    "QUOTE",
    "READRATIO",
    "REGION",
    "REMOVEQUOTES",
    "ROUNDEC",
    "TIMEFORMAT",
    "TRIMBLANKS",
    "TRUNCATECOLUMNS",
    "ZSTD",
];

/// Formats and options that Redshift has and the stand-in has not.
const NOT_IMITATED: &[&str] = &[
    "AVRO",
    "CSV",
    "FIXEDWIDTH",
    "JSON",
    "ORC",
    "SERIALIZETOJSON",
    "SHAPEFILE",
];

#[expect(clippy::struct_excessive_bools, reason = "each option of COPY is given or not")]
#[derive(Default)]
struct Options {
    credentials: bool,
    parquet: bool,
    manifest: bool,
    fill_record: bool,
}

pub fn parse(tokens: &[Token<'_>]) -> Result<CopyCommand, SqlError> {
    let mut cursor = Cursor::new(tokens);
    cursor.expect("COPY")?;
    let table = cursor.qualified_name()?;
    let columns = if cursor.peek().is_some_and(|token| token.is_symbol("(")) {
        cursor.identifier_list()?
    } else {
        Vec::new()
    };
    cursor.expect("FROM")?;
    let source = literal_value(cursor.text()?.text);
    let Some(manifest) = ObjectAddress::parse(&source) else {
        return Err(SqlError::NotImitated {
            what: format!("COPY FROM '{source}'"),
        });
    };
    let options = parse_options(&mut cursor)?;
    if !options.credentials {
        return Err(SqlError::syntax_with(
            "end of input",
            "COPY needs IAM_ROLE or CREDENTIALS",
        ));
    }
    if !options.parquet {
        return Err(SqlError::NotImitated {
            what: "COPY of another format than PARQUET".to_owned(),
        });
    }
    if !options.manifest {
        return Err(SqlError::NotImitated {
            what: "COPY without MANIFEST".to_owned(),
        });
    }
    Ok(CopyCommand {
        table,
        columns,
        manifest,
        fill_record: options.fill_record,
    })
}

fn parse_options(cursor: &mut Cursor<'_, '_>) -> Result<Options, SqlError> {
    let mut options = Options::default();
    while let Some(token) = cursor.peek() {
        if cursor.take(&["IAM_ROLE"]) {
            if !cursor.take(&["DEFAULT"]) {
                cursor.text()?;
            }
            options.credentials = true;
        } else if cursor.take(&["CREDENTIALS"]) || (cursor.take(&["WITH", "CREDENTIALS"])) {
            cursor.take(&["AS"]);
            cursor.text()?;
            options.credentials = true;
        } else if cursor.take(&["FORMAT"]) {
            cursor.take(&["AS"]);
            match cursor.peek() {
                Some(format) if format.is("PARQUET") || format.is_any(NOT_IMITATED) => {}
                _ => return Err(cursor.syntax_error()),
            }
        } else if cursor.take(&["PARQUET"]) {
            options.parquet = true;
        } else if cursor.take(&["MANIFEST"]) {
            options.manifest = true;
        } else if cursor.take(&["FILLRECORD"]) {
            options.fill_record = true;
        } else if cursor.take(&["STATUPDATE"]) {
            if !cursor.take(&["ON"]) && !cursor.take(&["OFF"]) {
                cursor.take(&["TRUE"]);
            }
        } else if cursor.take(&["ACCEPTINVCHARS"]) {
            cursor.take(&["AS"]);
            if cursor.peek().is_some_and(|next| next.text.starts_with('\'')) {
                cursor.next();
            }
        } else if cursor.take(&["EXPLICIT_IDS"]) {
            // Every table of the stand-in takes given values.
        } else if token.is_any(TEXT_ONLY) {
            return Err(SqlError::CopyOption {
                option: token.text.to_uppercase(),
            });
        } else if token.is_any(NOT_IMITATED) {
            return Err(SqlError::NotImitated {
                what: format!("COPY with {}", token.text.to_uppercase()),
            });
        } else {
            return Err(cursor.syntax_error());
        }
    }
    Ok(options)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::lexer::tokens;
    use super::*;

    fn read(sql: &str) -> Result<CopyCommand, SqlError> {
        parse(&tokens(sql).unwrap())
    }

    #[rstest]
    #[case(
        "COPY gold.orders FROM 's3://lake/run/1.manifest' IAM_ROLE 'arn:aws:iam::1:role/r' FORMAT AS PARQUET MANIFEST"
    )]
    #[case("copy gold.orders from 's3://lake/run/1.manifest' manifest format parquet iam_role 'arn:aws:iam::1:role/r'")]
    #[case("COPY gold.orders FROM 's3://lake/run/1.manifest' MANIFEST STATUPDATE OFF FORMAT PARQUET IAM_ROLE default")]
    fn options_come_in_any_order(#[case] sql: &str) {
        let command = read(sql).unwrap();
        assert_eq!(command.table, "gold.orders");
        assert_eq!(
            command.manifest,
            ObjectAddress {
                bucket: "lake".to_owned(),
                key: "run/1.manifest".to_owned()
            }
        );
        assert!(command.columns.is_empty());
    }

    #[test]
    fn a_column_list_is_folded_unless_quoted() {
        let command =
            read("COPY t (Order_Id, \"Day\") FROM 's3://b/k' IAM_ROLE 'r' PARQUET MANIFEST FILLRECORD").unwrap();
        assert_eq!(command.columns, ["order_id", "Day"]);
        assert!(command.fill_record);
    }

    #[rstest]
    #[case("MAXERROR 10", "ERROR: MAXERROR argument is not supported for PARQUET based COPY")]
    #[case(
        "REGION 'eu-west-1'",
        "ERROR: REGION argument is not supported for PARQUET based COPY"
    )]
    #[case("NONSENSE", "ERROR: syntax error at or near \"NONSENSE\"")]
    #[case(
        "SERIALIZETOJSON",
        "ERROR: COPY with SERIALIZETOJSON is not imitated by the stand-in"
    )]
    fn options_that_parquet_does_not_take_are_refused(#[case] option: &str, #[case] message: &str) {
        let error = read(&format!(
            "COPY t FROM 's3://b/k' IAM_ROLE 'r' FORMAT PARQUET MANIFEST {option}"
        ))
        .unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[rstest]
    #[case("COPY t FROM 's3://b/k' FORMAT PARQUET MANIFEST", "COPY needs IAM_ROLE")]
    #[case("COPY t FROM 's3://b/k' IAM_ROLE 'r' MANIFEST", "another format than PARQUET")]
    #[case("COPY t FROM 's3://b/k' IAM_ROLE 'r' FORMAT PARQUET", "without MANIFEST")]
    #[case("COPY t FROM 's3://b/k' IAM_ROLE 'r' FORMAT CSV MANIFEST", "COPY with CSV")]
    #[case("COPY t FROM 'emr://b/k' IAM_ROLE 'r' FORMAT PARQUET MANIFEST", "emr://b/k")]
    #[case("COPY t TO 's3://b/k'", "near \"TO\"")]
    fn what_is_missing_is_named(#[case] sql: &str, #[case] part: &str) {
        let message = read(sql).unwrap_err().to_string();
        assert!(message.contains(part), "{message}");
    }
}
