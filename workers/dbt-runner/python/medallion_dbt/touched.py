"""Which partitions a run rewrites. Reads the keys of the table's files, nothing else of them."""

import duckdb

from . import views
from .engine import name


def look_up(connection: duckdb.DuckDBPyConnection, request: dict) -> list[dict]:
    """The partitions of the new rows, and those where their keys stand now."""
    partition_by = request["partition_by"]
    # As the files spell them, whatever type the model gives them.
    values = ", ".join(f"CAST({name(column)} AS VARCHAR)" for column in partition_by)
    known = " AND ".join(f"{name(column)} IS NOT NULL" for column in partition_by)
    changes = f"main.{name(request['changes'])}"
    found = set(connection.execute(f"SELECT DISTINCT {values} FROM {changes} WHERE {known}").fetchall())

    # Partition columns are not in the files. A key that has some is looked up by the rest of it.
    keys = [key for key in request["key"] if key not in partition_by]
    if request["files"] and keys:
        same = " AND ".join(f"present.{name(key)} = changed.{name(key)}" for key in keys)
        # Straight on the files, so that row groups whose keys lie elsewhere are not read.
        paths = connection.execute(
            f"SELECT DISTINCT present.{views.FILE_COLUMN} FROM {views.read(request['files'])} AS present "
            f"SEMI JOIN {changes} AS changed ON {same}"
        ).fetchall()
        partitions = {views.path(file): file["partition"] for file in request["files"]}
        found.update(tuple(partitions[path].get(column) for column in partition_by) for (path,) in paths)
    return [dict(zip(partition_by, values, strict=True)) for values in sorted(found)]
