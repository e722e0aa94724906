"""What a project may not use, because a run would build it green and publish it wrong: dbt's ways to keep state, to rename,
and to read what the run does not build. No network."""

import re

LAYERS = ("silver", "gold")
# What a run's report can name; the runner reads these two limits from here.
MAX_TABLES, MAX_NAME = 64, 63
# Some engines tell upper from lower case, others do not: lower case is the same to all.
PLAIN = re.compile(r"[a-z][a-z0-9_]*")

SCHEMA, DATABASE = "main", "build"
BUILT = ("model", "seed", "snapshot")
# Keys of dbt_project.yml under which a project's own name comes first.
SECTIONS = ("models", "seeds", "snapshots", "data_tests", "tests")
# Configuration that may stand there without its plus sign.
PLAIN_KEYS = ("meta", "config", "contract", "docs", "grants", "persist_docs", "column_types")


def settings(node) -> dict:
    """The `meta.medallion` part of a node."""
    return (getattr(node.config, "meta", None) or {}).get("medallion") or {}


def layers(node) -> list[str]:
    """The layers that a node belongs to, by its tags."""
    return [layer for layer in LAYERS if layer in node.config.tags]


def said_of(node, words: str) -> str:
    """A finding with the node's name and file."""
    return f"{node.name} ({node.original_file_path}): {words}"


def findings(manifest, project_file: dict | None = None) -> list[str]:
    """Everything in the project that cannot be run, each with its node, its file and what to do."""
    nodes = list(manifest.nodes.values())
    helpers = {settings(node)["changes"] for node in nodes if settings(node).get("changes")}
    found = unused_sections(manifest, project_file or {})
    if found:
        # Without its tags and settings nothing in the project is as it is meant: what else there is to say misleads.
        return found
    for node in nodes:
        if node.resource_type == "operation":
            found.append(said_of(node, "on-run-start and on-run-end run SQL that belongs to no table and no commit; leave them out"))
        elif node.resource_type in BUILT and (layers(node) or settings(node).get("publish")):
            found += [said_of(node, words) for words in of_node(node, node.name in helpers)]
        if node.resource_type in (*BUILT, "test"):
            found += [said_of(node, words) for words in of_parents(node, manifest)]
    found += of_sources(nodes, manifest)
    for layer in LAYERS:
        published = [node for node in nodes if settings(node).get("publish") and layer in node.config.tags]
        if len(published) > MAX_TABLES:
            found.append(f"{layer} publishes {len(published)} tables, more than the {MAX_TABLES} that a layer may have")
    return found


def of_node(node, is_helper: bool) -> list[str]:
    """What is wrong with a node by itself. `is_helper`: another one's meta.medallion.changes names it."""
    publish = settings(node).get("publish")
    found = []
    if publish:
        found += of_published(node)
    if node.resource_type == "snapshot":
        found.append(
            "a snapshot keeps its history in the run's database, which is gone after the run; every change is a row of "
            "Bronze, let a model make the history of those"
        )
        return found
    if getattr(node, "language", "sql") == "python":
        found.append("Python models are not supported; write it in SQL")
    materialized = node.config.materialized
    if node.resource_type == "model":
        if materialized == "incremental":
            strategy = getattr(node.config, "incremental_strategy", None)
            found.append(
                f"materialized: incremental{f' ({strategy})' if strategy else ''} keeps rows of earlier runs in the database, "
                "which is new in every run; use table, and read what stands from the source with _current or _kept"
            )
        elif materialized not in ("table", "view", "ephemeral"):
            found.append(f"materialized: {materialized} is not supported; use table, view or ephemeral")
        if materialized == "ephemeral" and (publish or is_helper):
            use = "published" if publish else "named in meta.medallion.changes"
            found.append(f"an ephemeral model is no table that could be {use}; use materialized: table")
        if getattr(node, "version", None) is not None:
            found.append(
                f"versions of models are not supported (this is version {node.version}); give each version a model, and a "
                "name, of its own"
            )
        elif node.alias != node.name:
            found.append(f"alias {node.alias} renames it, but tables go by the model's name; rename the model")
    elif node.alias != node.name:
        found.append(f"alias {node.alias} renames it; rename the {node.resource_type}")
    if node.schema != SCHEMA:
        found.append(
            f"its schema is {node.schema}, but layers are built in {SCHEMA}; leave out +schema, and let profiles.yml say "
            f"schema: {SCHEMA}"
        )
    if node.database != DATABASE:
        found.append(f"its database is {node.database}, but layers are built in {DATABASE}; leave out +database")
    hooks = [name for name in ("pre_hook", "post_hook") if getattr(node.config, name, None)]
    if hooks:
        found.append(
            f"{' and '.join(name.replace('_', '-') for name in hooks)} would run SQL that no commit knows of, also in attempts "
            "that are never published; make it part of the model"
        )
    return found


def of_published(node) -> list[str]:
    """What keeps a node from being a table of its layer."""
    found = []
    if node.resource_type == "seed":
        found.append(
            f"a seed cannot be published; let a model select from {{{{ ref('{node.name}') }}}}, and publish that one"
        )
    if len(layers(node)) != 1:
        tags = "both of the tags" if layers(node) else "neither of the tags"
        found.append(f"is to be published but has {tags} silver and gold; a table belongs to one layer")
    if len(node.name) > MAX_NAME or not PLAIN.fullmatch(node.name):
        found.append(
            f"a published table's name has at most {MAX_NAME} lower-case letters, digits and underscores, and begins with a "
            "letter; rename the model"
        )
    return found


def of_parents(node, manifest) -> list[str]:
    """A run builds and tests one layer; what a node of it names by ref() must be of that layer too."""
    named = getattr(node.depends_on, "nodes", [])  # a seed has none
    parents = [manifest.nodes[unique_id] for unique_id in named if unique_id in manifest.nodes]
    parents = [parent for parent in parents if parent.resource_type in BUILT]
    touched = set(layers(node))
    if node.resource_type == "test":
        # A test runs with each layer that has one of its models.
        touched = touched.union(*(layers(parent) for parent in parents))
    return [
        way_to_read(parent, layer)
        for layer in LAYERS
        if layer in touched
        for parent in parents
        if layer not in layers(parent)
    ]


def of_sources(nodes: list, manifest) -> list[str]:
    """A layer reads what the run pins to versions. dbt-duckdb can put anything else in a source's place."""
    read = {parent for node in nodes if layers(node) for parent in getattr(node.depends_on, "nodes", [])}
    found = []
    for unique_id, source in manifest.sources.items():
        # The places where dbt-duckdb looks.
        config = getattr(getattr(source, "config", None), "extra", None) or {}
        known = {**(getattr(source, "meta", None) or {}), **config}
        elsewhere = [key for key in ("external_location", "plugin") if key in known]
        if unique_id in read and elsewhere:
            found.append(said_of(
                source,
                f"{' and '.join(elsewhere)} lets it read what no run knows of: nothing tells when rows come or change there; "
                "leave it out, and bring those rows in as events, or as a seed"
            ))
    return found


def way_to_read(parent, layer: str) -> str:
    """How a node of the layer gets at what another layer, or none, builds."""
    name, others = parent.name, layers(parent)
    if not others:
        return f"needs {name} by ref(), which no run builds, because it has no layer's tag; tag {name} with {layer}"
    reads = f"is of {layer} and reads {name} of {others[0]} by ref(), but a run builds one layer alone"
    if parent.resource_type == "seed":
        return f"{reads}; tag the seed with {layer} as well"
    if LAYERS.index(others[0]) > LAYERS.index(layer):
        return f"{reads}, and {layer} before {others[0]}; move one of them"
    first = "" if settings(parent).get("publish") else f"publish {name} (meta.medallion.publish: true) and "
    return (
        f"{reads}; {first}read it as a source: {{{{ source('{others[0]}', '{name}_touched') }}}} has all rows of the partitions "
        f"that have changed, {name}_new the rows added, {name}_all all rows"
    )


def unused_sections(manifest, project_file: dict) -> list[str]:
    """Configuration under a name that is not the project's reaches no model, and dbt only warns of it."""
    own = project_file.get("name")
    packages = {node.package_name for node in manifest.nodes.values()} if own else set()
    found = []
    for section in SECTIONS:
        entries = project_file.get(section)
        if not own or not isinstance(entries, dict) or own in entries:
            continue
        for key, value in entries.items():
            configures = not str(key).startswith("+") and key not in PLAIN_KEYS and isinstance(value, dict)
            if configures and key not in packages:
                found.append(
                    f"dbt_project.yml: the project's name is {own}, but its configuration stands under {section}: {key}, so it "
                    f"reaches nothing; call both the same"
                )
    return found
