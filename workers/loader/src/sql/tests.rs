//! The whole SQL of one load, compared with files. No network.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use medallion_lake::{DataFile, PartitionValues};
use rstest::rstest;

use super::*;
use crate::layout::{Footer, GoldFile, loads};
use crate::ledger::{ADDED, Entry, Mark};
use crate::names::Names;
use crate::statement::{MAX_STATEMENTS, batches};

const RUN: &str = "0f1e2d3c-run";
const OWNER: &str = "here/shop/purchase-orders";

fn name(text: &str) -> Identifier {
    Identifier::new(text).expect("a name")
}

fn column(text: &str, kind: ColumnType) -> Column {
    Column { name: name(text), kind }
}

fn day(value: Option<&str>) -> PartitionValues {
    PartitionValues::from([("part_date".to_owned(), value.map(str::to_owned))])
}

fn file(table: &str, partition: PartitionValues, rows: u64, columns: &[Column], day: Option<&str>) -> GoldFile {
    let file = format!(
        "{}.parquet",
        partition.values().flatten().next().map_or("whole", String::as_str)
    );
    GoldFile {
        file: DataFile {
            url: format!("s3://shop-gold/{table}/{file}"),
            name: file,
            size: 100,
            rows: Some(rows),
            partition,
        },
        footer: Footer {
            rows,
            columns: columns.to_vec(),
            constants: day
                .map(|day| (name("ordered_on"), day.to_owned()))
                .into_iter()
                .collect(),
        },
    }
}

fn mark(table: &str, version: i64) -> Mark {
    Mark {
        table_id: Some(format!("id-of-{table}")),
        version,
    }
}

fn entry(table: &str, version: i64) -> Entry {
    Entry {
        table: table.to_owned(),
        mark: mark(table, version),
        run_uid: "before".to_owned(),
        attempt: 1,
        rows: 9,
        owner: Some(OWNER.to_owned()),
        table_rows: Some(40),
    }
}

fn signature(attempt: i32, at: &str) -> Signature {
    Signature {
        owner: OWNER.to_owned(),
        run_uid: RUN.to_owned(),
        attempt,
        at: at.parse().expect("a time"),
    }
}

fn plan(number: usize, table: &str, base: Option<i64>, touched: Touched, files: Vec<GoldFile>) -> TablePlan {
    let names = Names::new("pipeline", RUN, 2);
    let partition_columns = vec![name("part_date")];
    let staging = names.staging(number).expect("a name");
    let target = name(table);
    let source = TablePlan::source(
        &names,
        "s3://shop-gold",
        &target,
        &staging,
        loads(files, &partition_columns),
    );
    TablePlan {
        target,
        base: base.map(|version| entry(table, version)),
        vacant: base.is_none(),
        mark: mark(table, 7),
        columns: columns(),
        partition_columns,
        evolution: Evolution::Nothing,
        touched,
        staging,
        source: source.expect("a source"),
    }
}

fn columns() -> Vec<Column> {
    vec![
        column("order_id", ColumnType::Text),
        column("ordered_on", ColumnType::Date),
        column(
            "total_amount",
            ColumnType::Decimal {
                precision: 18,
                scale: 2,
            },
        ),
        column("part_date", ColumnType::Text),
    ]
}

/// A shop's load: `orders` with an older file that lacks a column and a day without rows, `daily_sales` for the first
/// time, `customer_value` that has become empty, `product_sales` that has not changed.
fn load() -> Vec<TablePlan> {
    let files = columns()[..3].to_vec();
    let older = columns()[..1].to_vec();
    let (first, second) = (Some("2010-12-01"), Some("2010-12-02"));
    let touched = Touched::Partitions(BTreeSet::from([
        day(first),
        day(second),
        day(Some("2010-12-03")),
        day(None),
    ]));
    let orders = vec![
        file("orders", day(first), 10, &files, first),
        file("orders", day(second), 5, &older, None),
        file("orders", day(None), 1, &files, None),
    ];
    let daily_sales = vec![
        file("daily_sales", day(first), 3, &files, first),
        file("daily_sales", day(second), 4, &files, second),
    ];
    vec![
        plan(0, "orders", Some(3), touched, orders),
        TablePlan {
            evolution: Evolution::Create,
            ..plan(1, "daily_sales", None, Touched::Everything, daily_sales)
        },
        plan(2, "customer_value", Some(6), Touched::Everything, Vec::new()),
        TablePlan {
            evolution: Evolution::Add(vec![columns()[1].clone(), columns()[2].clone()]),
            // Loaded before the ledger had ids and owners.
            base: Some(Entry {
                mark: Mark {
                    table_id: None,
                    version: 6,
                },
                owner: None,
                table_rows: None,
                ..entry("product_sales", 6)
            }),
            ..plan(3, "product_sales", Some(6), Touched::Nothing, Vec::new())
        },
    ]
}

fn sql() -> Sql {
    Sql::new(name("gold"), "arn:aws:iam::123456789012:role/shop-copy")
}

fn text(statements: &[Statement]) -> String {
    statements.iter().fold(String::new(), |mut text, statement| {
        writeln!(text, "-- {}\n{};\n", statement.title, statement.sql).expect("a string takes it");
        text
    })
}

#[test]
fn tables_are_made_and_widened() {
    insta::assert_snapshot!(text(&sql().prepare(&load())));
}

#[test]
fn rows_are_staged() {
    let units: Vec<Vec<Statement>> = load().iter().flat_map(|plan| sql().stage(plan)).collect();
    insta::assert_snapshot!(text(&units.concat()));
}

#[test]
fn the_load_is_published_in_one_transaction() {
    insta::assert_snapshot!(text(&sql().publish(&load(), &signature(2, "2026-01-02T03:04:05.678Z"))));
}

#[test]
fn the_first_load_expects_an_empty_ledger() {
    let plans = [plan(0, "orders", None, Touched::Everything, Vec::new())];
    insta::assert_snapshot!(text(&sql().publish(&plans, &signature(1, "2026-01-02T03:04:05Z"))));
}

#[test]
fn reading_is_plain() {
    let read = [
        sql().read_columns(),
        sql().read_ledger(&[&name("orders"), &name("daily_sales")], &ADDED.map(|(name, _)| name)),
        sql().read_ledger(&[&name("orders")], &["table_name", "table_id"]),
        sql()
            .count_rows(&[&name("orders"), &name("daily_sales")])
            .expect("tables"),
        sql().count_staged(&load()).expect("staged"),
        Sql::read_user().to_owned(),
    ];
    insta::assert_snapshot!(read.join("\n"));
}

#[test]
fn a_ledger_is_made_and_widened() {
    let made = text(&sql().prepare_ledger(None));
    let widened = text(&sql().prepare_ledger(Some(&["table_name", "table_id"])));
    insta::assert_snapshot!(format!("{made}{widened}"));
    assert!(sql().prepare_ledger(Some(&ADDED.map(|(name, _)| name))).is_empty());
}

#[test]
fn rows_that_were_not_there_at_the_first_look_are_not_deleted() {
    let publish = |plan: TablePlan| text(&sql().publish(&[plan], &signature(1, "2026-01-02T03:04:05Z")));
    let first = publish(plan(0, "orders", None, Touched::Everything, Vec::new()));
    assert!(!first.contains("DELETE FROM \"gold\".\"orders\""), "{first}");
    assert!(
        first.contains("(SELECT COUNT(*) FROM \"gold\".\"orders\") = 0"),
        "{first}"
    );
    let adopted = publish(TablePlan {
        vacant: false,
        ..plan(0, "orders", None, Touched::Everything, Vec::new())
    });
    assert!(adopted.contains("DELETE FROM \"gold\".\"orders\""), "{adopted}");
}

#[rstest]
#[case(Lacking::InSchema, r#"GRANT USAGE, CREATE ON SCHEMA "gold" TO "IAMR:shop-loader""#)]
#[case(
    Lacking::OnTable("medallion_ledger"),
    r#"GRANT SELECT, INSERT, UPDATE, DELETE ON "gold"."medallion_ledger" TO "IAMR:shop-loader""#
)]
#[case(
    Lacking::Ownership("orders"),
    r#"ALTER TABLE "gold"."orders" OWNER TO "IAMR:shop-loader""#
)]
fn what_must_be_granted_is_said(#[case] lacking: Lacking<'_>, #[case] expected: &str) {
    assert_eq!(sql().grant(lacking, "IAMR:shop-loader"), expected);
}

#[test]
fn nothing_is_ever_truncated_and_a_batch_has_at_most_forty_statements() {
    let plans: Vec<TablePlan> = (0..12)
        .map(|number| {
            let files = vec![file("t", day(Some("x")), 1, &columns()[..3], None)];
            plan(number, &format!("table_{number}"), Some(1), Touched::Everything, files)
        })
        .collect();
    let publish = sql().publish(&plans, &signature(1, "2026-01-02T03:04:05Z"));
    assert!(publish.len() <= MAX_STATEMENTS, "{}", publish.len());
    let staged = batches(plans.iter().flat_map(|plan| sql().stage(plan)));
    assert!(staged.iter().all(|batch| batch.len() <= MAX_STATEMENTS));
    assert_eq!(staged.concat().len(), 36);
    assert!(
        publish
            .iter()
            .chain(staged.iter().flatten())
            .all(|statement| !statement.sql.contains("TRUNCATE"))
    );
}

#[rstest]
#[case::one_column(&["part_date"], r#""part_date" IN ('2010-12-01', 'it''s') OR "part_date" IS NULL"#)]
#[case::two_columns(
    &["part_country", "part_date"],
    r#"("part_country" IS NULL AND "part_date" IS NULL) OR ("part_country" IS NULL AND "part_date" = '2010-12-01') OR ("part_country" IS NULL AND "part_date" = 'it''s')"#
)]
fn partitions_are_told_by_their_values(#[case] columns: &[&str], #[case] expected: &str) {
    let columns: Vec<Identifier> = columns.iter().map(|column| name(column)).collect();
    let partitions = BTreeSet::from([day(Some("2010-12-01")), day(Some("it's")), day(None)]);
    assert_eq!(in_partitions(&columns, &partitions), expected);
}
