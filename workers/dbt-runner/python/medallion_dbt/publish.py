"""Writes a built table as local Parquet files, partition by partition. No network."""

import os
import shutil

import duckdb

from . import engine
from .engine import CURRENT, name, text

ROW_GROUP_ROWS = 122_880
ORDINAL = "_medallion_ordinal"
CHUNK = "_medallion_chunk"
ORDINALS = "medallion_ordinals"


class Unfit(Exception):
    """The table cannot be published as it is."""


def export(request: dict) -> dict:
    """Each file holds rows of one partition, without the partition columns, and no more than the limit. Rows are sorted by
    key but for the seams between threads, so that row groups can be skipped by it."""
    folder = os.path.join(CURRENT.scratch, "export", request["table"])
    shutil.rmtree(folder, ignore_errors=True)
    os.makedirs(folder)
    with engine.connect(export=folder) as connection:
        return export_to(connection, request, folder)


def export_to(connection: duckdb.DuckDBPyConnection, request: dict, folder: str) -> dict:
    """Writes the files into an empty folder."""
    table = f"main.{name(request['table'])}"
    partition_by = request["partition_by"]

    partitions = list_partitions(connection, table, partition_by, request["table"])
    if not partitions:
        return {"rows": 0, "files": []}
    write(connection, request, table, folder, max(rows for _, rows in partitions))
    return {"rows": sum(rows for _, rows in partitions), "files": list(written(connection, folder, partitions))}


def list_partitions(
    connection: duckdb.DuckDBPyConnection, table: str, partition_by: list[str], model: str
) -> list[tuple[dict, int]]:
    """Partition values and rows, in the order of their ordinals from 1."""
    if not partition_by:
        rows = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        return [({}, rows)] if rows else []
    columns = ", ".join(name(column) for column in partition_by)
    found = connection.execute(f"SELECT {columns}, count(*) FROM {table} GROUP BY ALL ORDER BY {columns}").fetchall()
    for row in found:
        if None in row[:-1] or "" in row[:-1]:
            missing = ", ".join(partition_by)
            raise Unfit(f"{row[-1]} rows of {model} have no value in a partition column ({missing})")
    return [(dict(zip(partition_by, row[:-1], strict=True)), row[-1]) for row in found]


def write(connection: duckdb.DuckDBPyConnection, request: dict, table: str, folder: str, largest: int) -> None:
    """Folders are numbered, not named after values, so that no value has to be encoded."""
    partition_by, limit = request["partition_by"], int(request["max_file_rows"])
    order = ", ".join(name(column) for column in request["key"])
    columns = ", ".join(name(column) for column in partition_by)
    rows, kept, ordinal, within = table, "*", "1", ""
    if partition_by:
        connection.execute(
            f"CREATE OR REPLACE TEMP TABLE {ORDINALS} AS SELECT {columns}, row_number() OVER (ORDER BY {columns}) "
            f"AS {ORDINAL} FROM (SELECT DISTINCT {columns} FROM {table})"
        )
        rows, kept, ordinal = f"{table} JOIN {ORDINALS} USING ({columns})", f"* EXCLUDE ({columns}, {ORDINAL})", ORDINAL
        within = f"PARTITION BY {columns} "
    # Numbering rows costs a sort of its own; small partitions are one file anyway.
    chunk = f"(row_number() OVER ({within}ORDER BY {order}) - 1) // {limit}" if largest > limit else "0"
    connection.execute(
        f"COPY (SELECT {kept}, {ordinal} AS {ORDINAL}, {chunk} AS {CHUNK} FROM {rows} "
        f"ORDER BY {ORDINAL}, {CHUNK}, {order}) TO {text(folder)} "
        f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP_ROWS}, PARTITION_BY ({ORDINAL}, {CHUNK}))"
    )


def written(connection: duckdb.DuckDBPyConnection, folder: str, partitions: list[tuple[dict, int]]):
    """The files that were written, with the rows that their footers count."""
    for parent, _, names in sorted(os.walk(folder)):
        for file in sorted(names):
            path = os.path.join(parent, file)
            ordinal = int(os.path.relpath(path, folder).split(os.sep)[0].split("=")[1])
            rows = connection.execute("SELECT sum(num_rows) FROM parquet_file_metadata($1)", [path]).fetchone()[0]
            yield {"path": path, "partition": partitions[ordinal - 1][0], "rows": int(rows)}
