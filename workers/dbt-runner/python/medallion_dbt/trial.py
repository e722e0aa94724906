"""Tries a project out without data: builds all layers on empty views, with the project's unit tests. No network.

For people who work on a project, and for the image that holds it: what fails here would fail in every run.
"""

import argparse
import os
import sys
import tempfile

from . import engine, views
from .invoke import Failure, Project, selected
from .project import ProjectError, describe
from .rules import LAYERS

SUFFIXES = ("_new", "_touched", "_all", "_current", "_kept")


def empty_views(manifest) -> list[dict]:
    """A view without rows for each source, with the columns that the source, or the model it shows, declares."""
    models = {node.name: node for node in manifest.nodes.values() if node.resource_type == "model"}
    found = []
    for source in manifest.sources.values():
        columns = source.columns.values()
        if not columns:
            suffix = next((suffix for suffix in SUFFIXES if source.identifier.endswith(suffix)), "")
            shown = models.get(source.identifier.removesuffix(suffix))
            columns = shown.columns.values() if shown else []
        typed = [{"name": column.name, "type": column.data_type} for column in columns]
        if not typed or any(column["type"] is None for column in typed):
            raise ProjectError([f"source {source.schema}.{source.identifier}: give its columns a data_type"])
        found.append({
            "schema": source.schema, "name": source.identifier, "columns": typed, "partition_by": [], "files": []
        })
    return found


def try_out(project_path: str, scratch: str) -> None:
    """Raises at the first thing that does not hold."""
    # The profile asks for it, as in a run.
    os.environ["MEDALLION_SCRATCH"] = scratch
    engine.CURRENT.work_in(scratch, 2**30, 2)
    project = Project(project_path, lambda progress: print(progress["node"], file=sys.stderr))
    manifest = project.parse()
    for layer in LAYERS:
        describe(manifest, layer, project.file)
    with engine.connect() as connection:
        views.create(connection, empty_views(manifest))
        views.create_context(connection, {"as_of": "2000-01-01T00:00:00Z", "run_uid": "trial"})
    project.invoke("build", *selected("tag:silver", "tag:gold"))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", default=".", help="folder of the dbt project")
    parser.add_argument("--scratch", help="folder to work in; left out: a new one that is removed again")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        try:
            try_out(arguments.project, arguments.scratch or folder)
        except (Failure, ProjectError) as problem:
            node = getattr(problem, "node", None)
            print(f"{node}: {problem}" if node else problem, file=sys.stderr)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
