"""Calls dbt in this process, reports each node's start, and turns failures into a node and a message. No network of its own."""

import os
import pathlib
import re
from collections.abc import Callable

import yaml
from dbt.adapters.factory import FACTORY
from dbt.cli.main import dbtRunner, dbtRunnerResult

from . import profile
from .engine import CURRENT
from .project import ProjectError, strays

# What DuckDB says when something outside is in the way, or itself has broken down, rather than the SQL being wrong.
OUTSIDE = re.compile(
    r"\b(HTTP Error|HTTP(Exception)?|IO Error|Out of Memory Error|Connection Error|Could not establish"
    r"|INTERNAL Error|FATAL Error|INTERRUPT Error|Permission Error"
    # What its HTTP client says of an answer that breaks off or stays away, without a word before it.
    r"|Timeout was reached|Transferred a partial file|Server returned nothing|Failure when receiving data|Failed sending data)\b"
)

# What DuckDB says to SQL that asks for more than a run gives it.
REFUSED = re.compile(r"disabled (by|through) configuration|configuration has been locked|Persistent secrets are disabled")
ALLOWED = (
    "\nA run lets SQL, macros and packages read their sources and the project's seeds, and nothing else: no other file, host, "
    "database or extension, and no other setting. Bring what it reads in as events or as a seed; leave out what it loads or sets."
)

# dbt names the variable, but not who asks for it.
MISSING_VARIABLE = re.compile(r"Env var required but not provided: '([^']+)'")
VARIABLES = "\nOf the worker's variables dbt is given those whose names begin with DBT_, but for DBT_ENV_SECRET_."

GOOD = {"success", "pass", "warn", "no-op", "skipped"}
MAX_MESSAGE = 1500


class Failure(Exception):
    """A dbt command that did not succeed."""

    def __init__(self, node: str | None, message: str, count: int = 1):
        super().__init__(message)
        self.node, self.message, self.count = node, explained(message.strip()[:MAX_MESSAGE]), count

    @property
    def kind(self) -> str:
        refused = REFUSED.search(self.message)
        return "environment" if OUTSIDE.search(self.message) and not refused else "project"


def explained(message: str) -> str:
    """What DuckDB refused, with what a run gives in its place; any other message as it is."""
    return message + ALLOWED if REFUSED.search(message) else message


class Project:
    """A dbt project, parsed once and then used for every command."""

    def __init__(self, path: str, progress: Callable[[dict], None]):
        self.path, self.progress, self.manifest = path, progress, None

    def parse(self):
        """Uses what the image has parsed already, where nothing has changed since. Writes no manifest.json: the command that
        comes next does, or `leave_manifest`."""
        found = strays(self.path)
        if found:
            raise ProjectError(found)
        baked = os.path.join(self.path, "target", "partial_parse.msgpack")
        reuse = ["--partial-parse-file-path", baked] if os.path.exists(baked) else []
        self.manifest = self.invoke("parse", "--no-write-json", *reuse).result
        # Before the database is opened by it.
        found = profile.findings(FACTORY.adapters, CURRENT.database)
        if found:
            raise ProjectError(found)
        return self.manifest

    def leave_manifest(self) -> None:
        """Writes manifest.json where dbt has not: it does so only once it has gone through its graph. dbt's own way there
        would also announce the file to a log that is closed by now."""
        path = os.path.join(CURRENT.scratch, "target", "manifest.json")
        if self.manifest is not None and not os.path.exists(path):
            self.manifest.writable_manifest().write(path)

    @property
    def file(self) -> dict:
        """dbt_project.yml as it is written."""
        with open(os.path.join(self.path, "dbt_project.yml"), encoding="utf-8") as file:
            return yaml.safe_load(file) or {}

    def run(self, *select: str) -> list[dict]:
        """Builds models and what they need, without tests."""
        return self.timed("run", "--select", *[f"+{model}" for model in select])

    def build(self, layer: str) -> list[dict]:
        """Builds and tests a layer. Unit tests are for whoever changes the project: they prove nothing about the data. What
        does not need the failed node goes on: stopping at once closes the connection under the others, and dbt then reports
        of that instead of the failure."""
        return self.timed("build", *selected(f"tag:{layer}"), "--exclude-resource-type", "unit_test", "--no-fail-fast")

    def timed(self, command: str, *arguments: str) -> list[dict]:
        """How long each node took."""
        results = self.invoke(command, *arguments).result.results
        return [{"name": result.node.name, "seconds": result.execution_time} for result in results]

    def invoke(self, command: str, *arguments: str) -> dbtRunnerResult:
        CURRENT.seeds = seeds(self.manifest)
        runner = dbtRunner(manifest=self.manifest, callbacks=[self.watch])
        outcome = runner.invoke([
            command, *arguments,
            "--project-dir", self.path, "--profiles-dir", self.path,
            "--target-path", os.path.join(CURRENT.scratch, "target"), "--log-path", os.path.join(CURRENT.scratch, "logs"),
            "--threads", str(CURRENT.threads),
            "--no-version-check", "--no-send-anonymous-usage-stats", "--no-use-colors", "--quiet",
        ])
        if not outcome.success:
            raise failure(outcome, self.path)
        return outcome

    def watch(self, event) -> None:
        """dbt's events: the line "3 of 20 START ..." says which node begins, and how many there are."""
        if event.info.name == "LogStartLine":
            node = event.data.node_info.node_name
            self.progress({"done": event.data.index - 1, "total": event.data.total, "node": node})


def seeds(manifest) -> list[str]:
    """The files of the seeds, as dbt names them to DuckDB. Nothing is parsed yet: none."""
    nodes = manifest.nodes.values() if manifest is not None else []
    return [os.path.join(node.root_path, node.original_file_path) for node in nodes if node.resource_type == "seed"]


def selected(*tags: str) -> list[str]:
    """The models of these tags with all of their tests, whatever the flags of the project say: what is published is tested."""
    return ["--select", *tags, "--indirect-selection", "eager"]


def failure(outcome: dbtRunnerResult, project: str) -> Failure:
    """The first node that failed, or the error that kept all nodes from running."""
    results = getattr(outcome.result, "results", None) or []
    failed = [result for result in results if str(result.status) not in GOOD]
    if failed:
        first = failed[0]
        return Failure(first.node.name, str(first.message or first.status), len(failed))
    if outcome.exception is not None:
        message = str(outcome.exception)
        missing = MISSING_VARIABLE.search(message)
        return Failure(user_of(missing[1], project), message + VARIABLES) if missing else Failure(None, message)
    return Failure(None, "dbt did not succeed and did not say why; its log is among the run's artifacts")


def user_of(variable: str, project: str) -> str | None:
    """The file that asks for an environment variable: dbt does not say it."""
    for path in sorted(pathlib.Path(project).rglob("*")):
        if path.suffix in {".sql", ".yml", ".yaml"} and variable in path.read_text(errors="replace"):
            return str(path.relative_to(project))
    return None
