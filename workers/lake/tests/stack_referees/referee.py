"""Reads a table with libraries that had no part in writing it, and prints what each of them sees as JSON."""

import json
import pathlib
import sys

import deltalake
import duckdb

endpoint, key, secret, region, table, version = sys.argv[1:7]
version = int(version)
host = endpoint.removeprefix("http://")


def shape(columns, rows):
    """Rows without the order of columns and rows."""
    rows = [dict(zip(columns, row, strict=True)) for row in rows]
    return sorted(rows, key=lambda row: (row["id"], json.dumps(row, sort_keys=True, default=str)))


def by_deltalake():
    options = {
        "endpoint_url": endpoint,
        "aws_access_key_id": key,
        "aws_secret_access_key": secret,
        "aws_region": region,
        "allow_http": "true",
    }
    found = deltalake.DeltaTable(table, version=version, storage_options=options)
    # Its own query engine reads the rows; DuckDB only turns them into Python values.
    answer = deltalake.QueryBuilder().register("seen", found).execute("SELECT * FROM seen")
    result = duckdb.connect().execute("SELECT * FROM answer")
    columns = [column[0] for column in result.description]
    rows = result.fetchall()
    files = sorted(uri.split("/")[-1] for uri in found.file_uris())
    return {
        "version": found.version(),
        "partitions": found.metadata().partition_columns,
        "files": files,
        "rows": shape(columns, rows),
    }


def by_duckdb():
    connection = duckdb.connect()
    packages = pathlib.Path(duckdb.__file__).parent.parent
    for name in ("httpfs", "delta"):
        extension = next(packages.glob(f"duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"))
        connection.execute(f"LOAD '{extension}'")
    connection.execute(
        f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION '{region}', "
        f"ENDPOINT '{host}', URL_STYLE 'path', USE_SSL false)"
    )
    result = connection.execute(f"SELECT * FROM delta_scan('{table}', version = {version})")
    columns = [column[0] for column in result.description]
    return {"rows": shape(columns, result.fetchall())}


print(json.dumps({"deltalake": by_deltalake(), "duckdb": by_duckdb()}, default=str))
