"""What the runner must know of a dbt project: which tables a layer publishes and which views it reads. No network."""

import functools
import os

import duckdb

from .engine import aside
from .rules import LAYERS, findings, said_of, settings

PARTITIONS, TABLE = "partitions", "table"
# What dbt reads; it says in its messages, and in tables, what stands in there.
READ = (".sql", ".yml", ".yaml", ".csv", ".md", ".py")


class ProjectError(Exception):
    """The project cannot be run as it is; the message has every finding, each with node, file and what to do."""

    def __init__(self, found: list[str]):
        super().__init__(found[0] if len(found) == 1 else "\n".join([f"{len(found)} findings", *(f"- {one}" for one in found)]))
        self.findings = found


def strays(folder: str) -> list[str]:
    """The files of a project that are links to a file elsewhere, each with what to do: such a one is no part of the project, and
    could be any file that this process can read. Folders may be links, as dbt makes them for local packages."""
    root, seen, found = os.path.realpath(folder), set(), []
    for place, folders, files in os.walk(folder, followlinks=True):
        here = os.path.realpath(place)
        if here in seen:
            folders.clear()
            continue
        seen.add(here)
        for file in files:
            path = os.path.join(place, file)
            if not file.endswith(READ) or not os.path.islink(path) or not os.path.isfile(path):
                continue
            target = os.path.realpath(path)
            if not any(target.startswith(os.path.join(home, "")) for home in (root, here)):
                found.append(f"{os.path.relpath(path, folder)} is a link to a file outside of the project; put the file itself there")
    return sorted(found)


def describe(manifest, layer: str, project_file: dict | None = None) -> dict:
    """Published tables in the order in which to commit them, and the sources that the layer's models read. Refuses a project
    of which any layer could not be run: what is wrong with the next one is better said before this one is built."""
    found = findings(manifest, project_file)
    if found and not any(is_published(node) for node in models_of(manifest, layer).values()):
        raise ProjectError(found)
    models = {name: models_of(manifest, name) for name in LAYERS}
    tables = {name: tables_of(models[name], found) for name in LAYERS}
    if layer not in LAYERS or not any(is_published(node) for node in models[layer].values()):
        found.append(f"no model with tag {layer} has meta.medallion.publish: true; nothing would be published")
    if found:
        raise ProjectError(list(dict.fromkeys(found)))
    return {"tables": tables[layer], "sources": sources(manifest, models[layer].values())}


def models_of(manifest, layer: str) -> dict:
    """The models of a layer by their ids."""
    return {
        node.unique_id: node
        for node in manifest.nodes.values()
        if node.resource_type == "model" and layer in node.config.tags
    }


def is_published(node) -> bool:
    """Whether a model is a table of its layer."""
    return bool(settings(node).get("publish"))


def tables_of(models: dict, found: list[str]) -> list[dict]:
    """The published tables of a layer; what is wrong with them goes into the findings."""
    published = {unique_id: node for unique_id, node in models.items() if is_published(node)}
    names = {node.name for node in models.values()}
    depths: dict[str, int] = {}
    ordered = sorted(published, key=lambda unique_id: (depth(models, unique_id, depths), unique_id))
    return [table(published[unique_id], names, found) for unique_id in ordered]


def depth(models: dict, unique_id: str, depths: dict[str, int]) -> int:
    """Length of the longest way to a model through others of its layer: who reads a table is committed after it."""
    if unique_id not in depths:
        depths[unique_id] = 0
        parents = [parent for parent in models[unique_id].depends_on.nodes if parent in models]
        depths[unique_id] = 1 + max((depth(models, parent, depths) for parent in parents), default=0)
    return depths[unique_id]


def table(node, layer_models: set[str], found: list[str]) -> dict:
    """One published table, checked; what is wrong with it goes into the findings."""
    wanted = settings(node)
    replace, key, partition_by = wanted.get("replace"), wanted.get("key"), wanted.get("partition_by") or []
    changes = wanted.get("changes")
    columns = [{"name": column.name, "type": column.data_type} for column in node.columns.values()]

    def refuse(reason: str):
        found.append(said_of(node, reason))

    if replace not in (PARTITIONS, TABLE):
        refuse(f"meta.medallion.replace must be {PARTITIONS} or {TABLE}")
    elif (replace == PARTITIONS) != bool(partition_by):
        refuse("meta.medallion.partition_by must name columns when partitions are replaced, and only then")
    if not node.config.contract.enforced:
        refuse("a published model needs config.contract.enforced: true, its columns are the table's")
    if not key:
        refuse("meta.medallion.key must name the columns that tell rows apart")
    known = {column["name"] for column in columns}
    for column in [*(key or []), *partition_by]:
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
        "columns": typed(columns, partition_by, refuse),
    }


def typed(columns: list[dict], partition_by: list[str], refuse) -> list[dict]:
    """The columns with DuckDB's own names of their types."""
    for column in columns:
        known, complaint = type_of(column["type"])
        if complaint:
            refuse(f"column {column['name']} has no type DuckDB knows: {complaint}")
            continue
        column["type"] = known
        if column["name"] in partition_by and known != "VARCHAR":
            refuse(f"partition column {column['name']} must be varchar, not {known}")
    return columns


@functools.cache
def type_of(declared: str | None) -> tuple[str | None, str | None]:
    """DuckDB's own name of a declared type, or what it says against it: a project has many columns of few types."""
    with aside() as connection:
        try:
            return connection.execute(f"DESCRIBE SELECT CAST(NULL AS {declared})").fetchone()[1], None
        except duckdb.Error as error:
            return None, str(error)


def sources(manifest, models) -> list[dict]:
    """The source tables that any of the models reads."""
    read = sorted({parent for node in models for parent in node.depends_on.nodes if parent.startswith("source.")})
    found = [manifest.sources[unique_id] for unique_id in read]
    return [{"schema": source.schema, "name": source.identifier} for source in found]
