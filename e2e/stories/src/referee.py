"""Reads lake tables and compares rows without any code of the product: Delta logs by deltalake, rows and SQL by DuckDB.

One request per line on standard input, one answer per line on standard output.
"""

import json
import os
import sys

import duckdb
import duckdb_extension_httpfs
from deltalake import DeltaTable
from deltalake.exceptions import TableNotFoundError

ENDPOINT = os.environ["AWS_ENDPOINT_URL_S3"]
STORAGE = {
    "AWS_ENDPOINT_URL": ENDPOINT,
    "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
    "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    "AWS_REGION": os.environ["AWS_REGION"],
    "AWS_ALLOW_HTTP": "true",
    "AWS_VIRTUAL_HOSTED_STYLE_REQUEST": "false",
}
TYPES = {
    "string": "VARCHAR", "long": "BIGINT", "integer": "INTEGER", "boolean": "BOOLEAN", "double": "DOUBLE",
    "date": "DATE", "timestamp": "TIMESTAMPTZ",
}

connection = duckdb.connect()
held = {}


def prepare():
    folder = os.path.join(os.path.dirname(duckdb_extension_httpfs.__file__), "extensions", f"v{duckdb.__version__}")
    connection.execute(f"LOAD '{folder}/httpfs.duckdb_extension'")
    connection.execute("SET TimeZone = 'UTC'")
    connection.execute(
        f"""CREATE SECRET (TYPE s3, PROVIDER config, KEY_ID '{STORAGE["AWS_ACCESS_KEY_ID"]}',
            SECRET '{STORAGE["AWS_SECRET_ACCESS_KEY"]}', REGION '{STORAGE["AWS_REGION"]}',
            ENDPOINT '{ENDPOINT.split("://", 1)[1]}', URL_STYLE 'path', USE_SSL false)"""
    )


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def table(name, url, version=None):
    """The rows of a Delta table as a local table of that name, and what its log says."""
    try:
        delta = DeltaTable(url, version=version, storage_options=STORAGE)
    except TableNotFoundError:
        connection.execute(f"DROP TABLE IF EXISTS {quoted(name)}")
        held.pop(name, None)
        return None
    state = (url, delta.version())
    if held.get(name) != state:
        files = delta.file_uris()
        if files:
            source = "SELECT * FROM read_parquet(?, union_by_name = true, hive_partitioning = false)"
            connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS {source}", [files])
        else:
            partitions = delta.metadata().partition_columns
            columns = ", ".join(
                f"NULL::{TYPES.get(field.type.type, field.type.type)} AS {quoted(field.name)}"
                for field in delta.schema().fields
                if field.name not in partitions
            )
            connection.execute(f"CREATE OR REPLACE TABLE {quoted(name)} AS SELECT {columns} WHERE false")
        held[name] = state
    rows = connection.execute(f"SELECT count(*) FROM {quoted(name)}").fetchone()[0]
    return {"version": delta.version(), "rows": rows}


def files(url, version=None):
    """Path and partition values of each file that a version of a table has."""
    delta = DeltaTable(url, version=version, storage_options=STORAGE)
    actions = delta.get_add_actions(flatten=True)  # noqa: F841, read by name below
    columns = connection.sql("SELECT * FROM actions").columns
    partitions = "".join(f", {quoted(column)}" for column in columns if column.startswith("partition."))
    rows = connection.sql(f"SELECT path{partitions} FROM actions").fetchall()
    return {
        "version": delta.version(),
        "files": [{"path": row[0], "partition": "/".join(str(value) for value in row[1:])} for row in rows],
    }


def schema(url):
    """Name, type in Delta's words and comment of each column of a table."""
    fields = DeltaTable(url, storage_options=STORAGE).schema().fields
    return [[field.name, field.type.type, field.metadata.get("comment")] for field in fields]


def sql(text):
    cursor = connection.execute(text)
    columns = [column[0] for column in cursor.description or []]
    return {"columns": columns, "rows": cursor.fetchall() if columns else []}


def main():
    prepare()
    operations = {"table": table, "files": files, "schema": schema, "sql": sql}
    for line in sys.stdin:
        request = json.loads(line)
        operation = operations[request.pop("op")]
        try:
            answer = {"ok": operation(**request)}
        except Exception as error:  # The caller decides what an error means; the referee goes on.
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), flush=True)


main()
