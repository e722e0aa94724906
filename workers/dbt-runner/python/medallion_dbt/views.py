"""The views through which models see the lake: explicit lists of Parquet files, with the partition columns that the files lack. No folders are listed; files are read when a view is made and used."""

import json
import time

import duckdb

from .engine import name, text

FILE_COLUMN = "_medallion_file"


def create(connection: duckdb.DuckDBPyConnection, views: list[dict]) -> list[dict]:
    """Makes or replaces the views. Each says schema, name, columns with types, partition columns and files. Reports how
    long each took: DuckDB looks at the end of every file."""
    took = []
    for view in views:
        begun = time.monotonic()
        connection.execute(f"CREATE SCHEMA IF NOT EXISTS {name(view['schema'])}")
        partitions = f"medallion.{name(view['schema'] + '_' + view['name'])}"
        partition_table(connection, partitions, view["files"], view["partition_by"])
        target = f"{name(view['schema'])}.{name(view['name'])}"
        connection.execute(f"CREATE OR REPLACE VIEW {target} AS {select(view, partitions)}")
        took.append({"name": f"{view['schema']}.{view['name']}", "seconds": time.monotonic() - begun})
    return took


def create_context(connection: duckdb.DuckDBPyConnection, context: dict) -> None:
    """One row about the run, for models."""
    connection.execute("CREATE SCHEMA IF NOT EXISTS run")
    connection.execute(
        "CREATE OR REPLACE VIEW run.context AS SELECT "
        f"CAST({text(context['as_of'])} AS TIMESTAMPTZ) AS as_of, {text(context['run_uid'])} AS run_uid"
    )


def partition_table(
    connection: duckdb.DuckDBPyConnection, target: str, files: list[dict], partition_by: list[str]
) -> None:
    """A table that says for each file which partition its rows belong to."""
    columns = "".join(f", {name(column)} VARCHAR" for column in partition_by)
    connection.execute("CREATE SCHEMA IF NOT EXISTS medallion")
    connection.execute(f"CREATE OR REPLACE TABLE {target} (url VARCHAR{columns})")
    if files:
        # One JSON parameter instead of a statement per file: thousands of files are one insert.
        rows = json.dumps([[path(file), *(file["partition"].get(column) for column in partition_by)] for file in files])
        picked = ", ".join(f"entry->>{index}" for index in range(len(partition_by) + 1))
        connection.execute(
            f"INSERT INTO {target} SELECT {picked} FROM (SELECT unnest(CAST($1 AS JSON[])) AS entry)", [rows]
        )


def select(view: dict, partitions: str) -> str:
    """Typed columns in any case, also without a file, or when files are older than a column."""
    columns = [(column["name"], column["type"]) for column in view["columns"]]
    typed = ", ".join(f"CAST({name(column)} AS {kind}) AS {name(column)}" for column, kind in columns)
    empty = "SELECT " + ", ".join(f"CAST(NULL AS {kind}) AS {name(column)}" for column, kind in columns)
    rows = f"{empty} WHERE false"
    if view["files"]:
        rows = f"{rows} UNION ALL BY NAME {select_files(view['files'], view['partition_by'], partitions)}"
    return f"SELECT {typed} FROM ({rows})"


def select_files(files: list[dict], partition_by: list[str], partitions: str) -> str:
    """All rows of the files, each with its file's partition."""
    added = "".join(f", partition.{name(column)}" for column in partition_by)
    return (
        f"SELECT file.* EXCLUDE ({FILE_COLUMN}){added} FROM {read(files)} AS file "
        f"JOIN {partitions} AS partition ON file.{FILE_COLUMN} = partition.url"
    )


def read(files: list[dict]) -> str:
    """The table function over the files; each row says which file it is from."""
    paths = ", ".join(text(path(file)) for file in files)
    return f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false, filename = '{FILE_COLUMN}')"


def path(file: dict) -> str:
    """The address as DuckDB gives it back: local files without scheme."""
    return file["url"].removeprefix("file://")
