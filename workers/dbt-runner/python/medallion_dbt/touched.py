"""Which partitions a run rewrites. Reads keys and partitions of the table's files, nothing else of them."""

import duckdb

from . import views
from .engine import name


def look_up(connection: duckdb.DuckDBPyConnection, request: dict) -> list[dict]:
    """The partitions of the new rows, and those where their keys stand now."""
    partition_by = request["partition_by"]
    columns = ", ".join(name(column) for column in partition_by)
    known = " AND ".join(f"{name(column)} IS NOT NULL" for column in partition_by)
    changes = f"main.{name(request['changes'])}"
    query = f"SELECT {columns} FROM {changes} WHERE {known}"
    if request["files"]:
        partitions = f"medallion.{name('touched_' + request['table'])}"
        views.partition_table(connection, partitions, request["files"], partition_by)
        keys = " AND ".join(f"standing.{name(key)} = changed.{name(key)}" for key in request["key"])
        standing = f"SELECT {', '.join(name(key) for key in request['key'])}, {columns} FROM ("
        standing += views.select_files(request["files"], partition_by, partitions) + ")"
        query += f" UNION SELECT {columns} FROM ({standing}) AS standing SEMI JOIN {changes} AS changed ON {keys}"
    rows = connection.execute(f"SELECT DISTINCT {columns} FROM ({query}) ORDER BY ALL").fetchall()
    return [dict(zip(partition_by, row, strict=True)) for row in rows]
