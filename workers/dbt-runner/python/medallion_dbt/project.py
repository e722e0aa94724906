"""What the runner must know of a dbt project: which tables a layer publishes and which views it reads. No network."""

import duckdb

PARTITIONS, TABLE = "partitions", "table"


class ProjectError(Exception):
    """The project cannot be run as it is; the message names the model."""


def describe(manifest, layer: str) -> dict:
    """Published tables in the order in which to commit them, and the sources that the layer's models read."""
    models = {
        node.unique_id: node
        for node in manifest.nodes.values()
        if node.resource_type == "model" and layer in node.config.tags
    }
    published = {unique_id: node for unique_id, node in models.items() if settings(node).get("publish")}
    if not published:
        raise ProjectError(f"no model with tag {layer} has meta.medallion.publish: true; nothing would be published")
    names = {node.name for node in models.values()}
    depths: dict[str, int] = {}
    ordered = sorted(published, key=lambda unique_id: (depth(models, unique_id, depths), unique_id))
    return {
        "tables": [table(published[unique_id], names) for unique_id in ordered],
        "sources": sources(manifest, models.values()),
    }


def settings(node) -> dict:
    """The `meta.medallion` part of a model."""
    return node.config.meta.get("medallion") or {}


def depth(models: dict, unique_id: str, depths: dict[str, int]) -> int:
    """Length of the longest way to a model through others of its layer: who reads a table is committed after it."""
    if unique_id not in depths:
        depths[unique_id] = 0
        parents = [parent for parent in models[unique_id].depends_on.nodes if parent in models]
        depths[unique_id] = 1 + max((depth(models, parent, depths) for parent in parents), default=0)
    return depths[unique_id]


def table(node, layer_models: set[str]) -> dict:
    """One published table, checked."""
    wanted = settings(node)
    replace, key, partition_by = wanted.get("replace"), wanted.get("key"), wanted.get("partition_by") or []
    changes = wanted.get("changes")
    columns = [{"name": column.name, "type": column.data_type} for column in node.columns.values()]

    def refuse(reason: str):
        raise ProjectError(f"{node.name} ({node.original_file_path}): {reason}")

    if replace not in (PARTITIONS, TABLE):
        refuse(f"meta.medallion.replace must be {PARTITIONS} or {TABLE}")
    if not node.config.contract.enforced:
        refuse("a published model needs config.contract.enforced: true, its columns are the table's")
    if not key:
        refuse("meta.medallion.key must name the columns that tell rows apart")
    if (replace == PARTITIONS) != bool(partition_by):
        refuse("meta.medallion.partition_by must name columns when partitions are replaced, and only then")
    known = {column["name"] for column in columns}
    for column in [*key, *partition_by]:
        if column not in known:
            refuse(f"column {column} of meta.medallion is not among the model's columns")
    for column in partition_by:
        if not column.startswith("part_"):
            refuse(f"partition column {column} must begin with part_: it is derived, and not in the files")
    if changes is not None and changes not in layer_models:
        refuse(f"meta.medallion.changes names {changes}, which is no model of the layer")
    if changes is not None and replace == TABLE:
        refuse("meta.medallion.changes makes no sense when the whole table is replaced")
    return {
        "name": node.name,
        "replace": replace,
        "key": key,
        "partition_by": partition_by,
        "changes": changes,
        "columns": typed(node, columns, partition_by),
    }


def typed(node, columns: list[dict], partition_by: list[str]) -> list[dict]:
    """The columns with DuckDB's own names of their types."""
    with duckdb.connect() as connection:
        for column in columns:
            try:
                found = connection.execute(f"DESCRIBE SELECT CAST(NULL AS {column['type']})").fetchone()[1]
            except duckdb.Error as error:
                raise ProjectError(f"{node.name}: column {column['name']} has no type DuckDB knows: {error}") from error
            column["type"] = found
            if column["name"] in partition_by and found != "VARCHAR":
                raise ProjectError(f"{node.name}: partition column {column['name']} must be varchar, not {found}")
    return columns


def sources(manifest, models) -> list[dict]:
    """The source tables that any of the models reads."""
    read = sorted({parent for node in models for parent in node.depends_on.nodes if parent.startswith("source.")})
    found = [manifest.sources[unique_id] for unique_id in read]
    return [{"schema": source.schema, "name": source.identifier} for source in found]
