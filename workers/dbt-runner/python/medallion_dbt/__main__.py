"""One JSON request per line on standard input, one JSON answer per line on standard output; progress lines in between."""

import json
import os
import queue
import sys
import threading

import duckdb

from . import engine, publish, touched, views
from .invoke import Failure, Project, explained
from .project import ProjectError, describe


class Session:
    """The state between requests: the parsed project."""

    def __init__(self, send):
        self.send, self.project = send, None

    def answer(self, request: dict) -> dict:
        """Does what is asked."""
        return getattr(self, f"do_{request['do']}")(request)

    def failed(self, problem: Exception) -> dict:
        """What the runner must hear, which then keeps what there is: the manifest too, for whoever looks into the failure."""
        try:
            if self.project is not None:
                self.project.leave_manifest()
        except Exception as other:  # The failure itself is what counts.
            print(f"manifest.json cannot be written: {other}", file=sys.stderr)
        return {"error": error(problem)}

    def do_open(self, request: dict) -> dict:
        engine.CURRENT.work_in(request["scratch"], request["memory_bytes"], request["threads"])
        engine.CURRENT.lake = request["lake"]
        self.project = Project(request["project"], lambda progress: self.send({"progress": progress}))
        manifest = self.project.parse()
        return describe(manifest, request["layer"], self.project.file)

    def do_views(self, request: dict) -> dict:
        with engine.connect() as connection:
            views.create_context(connection, request["context"])
            return {"took": views.create(connection, request["views"])}

    def do_changes(self, request: dict) -> dict:
        return {"took": self.project.run(*request["models"])}

    def do_touched(self, request: dict) -> dict:
        with engine.connect() as connection:
            return {"partitions": touched.look_up(connection, request)}

    def do_build(self, request: dict) -> dict:
        return {"took": self.project.build(request["layer"])}

    def do_export(self, request: dict) -> dict:
        return publish.export(request)


def error(problem: Exception) -> dict:
    """What the runner needs to tell a fault of the project from trouble outside."""
    if isinstance(problem, Failure):
        return {"kind": problem.kind, "node": problem.node, "message": problem.message, "count": problem.count}
    if isinstance(problem, (ProjectError, publish.Unfit)):
        return {"kind": "unfit", "node": None, "message": str(problem), "count": 1}
    message = explained(str(problem))
    # DuckDB tells bad SQL and bad data apart from what happens to files, network and memory.
    project = isinstance(problem, (duckdb.ProgrammingError, duckdb.DataError)) or message != str(problem)
    message = message if project else f"{type(problem).__name__}: {problem}"
    return {"kind": "project" if project else "environment", "node": None, "message": message, "count": 1}


def read_lines(lines: queue.Queue) -> None:
    """When the runner is gone there is nobody left to work for, in the middle of a query as well."""
    for line in sys.stdin:
        lines.put(line)
    os._exit(0)


def main() -> None:
    # Standard output belongs to the answers: what dbt and its plugins print goes to standard error.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    lines: queue.Queue = queue.Queue()
    threading.Thread(target=read_lines, args=(lines,), daemon=True).start()

    one_at_a_time = threading.Lock()

    def send(message: dict) -> None:
        # dbt reports its progress from all of its threads.
        with one_at_a_time:
            answers.write(json.dumps(message) + "\n")

    session = Session(send)
    while True:
        request = json.loads(lines.get())
        try:
            send({"result": session.answer(request)})
        except Exception as problem:  # Whatever it is, the runner must hear of it.
            send(session.failed(problem))


if __name__ == "__main__":
    main()
