"""The DuckDB database of the run: its limits, and what its SQL can reach. Reads the lake over the runner's reader on loopback.

dbt and this package open the same file in turns, never at once, and set each connection up with what is held here. A
project's SQL is its author's, not ours: before any of it runs, a connection is held to the files of this run and locked.
"""

import glob
import importlib.util
import os
import shutil
from dataclasses import dataclass, field

import duckdb


@dataclass
class Engine:
    """What every connection of this process is set up with."""

    scratch: str = ""
    memory_bytes: int = 0
    threads: int = 1
    spill_bytes: int = 0
    # Where the runner serves the lake's files, with a slash at its end; empty where there are none.
    lake: str = ""
    # The project's seeds, which dbt lets DuckDB read.
    seeds: list[str] = field(default_factory=list)

    def work_in(self, scratch: str, memory_bytes: int, threads: int) -> None:
        """Takes half of the room for what does not fit into memory: the other half is for the tables and the files made
        of them. A full disk would take the whole node along, and the run that filled it would begin anew elsewhere."""
        self.scratch, self.memory_bytes, self.threads = scratch, memory_bytes, threads
        self.spill_bytes = shutil.disk_usage(scratch).free // 2

    @property
    def database(self) -> str:
        return os.path.join(self.scratch, "build.duckdb")


CURRENT = Engine()


def configure(connection: duckdb.DuckDBPyConnection, export: str = "") -> None:
    """Sets a fresh connection up. Outside a run (a developer's `dbt build`) there is nothing to bound or to lock. `export`:
    the folder that it may write to; dbt's has none."""
    connection.execute("SET autoinstall_known_extensions = false")
    # The cursors that dbt works through take over what holds for the whole database.
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    if CURRENT.scratch:
        spill = os.path.join(CURRENT.scratch, "spill")
        connection.execute(f"SET temp_directory = {text(spill)}")
        connection.execute(f"SET max_temp_directory_size = '{int(CURRENT.spill_bytes)}B'")
        connection.execute(f"SET threads = {int(CURRENT.threads)}")
        connection.execute(f"SET memory_limit = '{int(CURRENT.memory_bytes)}B'")
        # Without preserving the order of rows a file could have them in any; where files are written for the lake it is what
        # makes look-ups by key cheap.
        connection.execute(f"SET preserve_insertion_order = {'true' if export else 'false'}")
        connection.execute("SET parquet_metadata_cache = true")
        if CURRENT.lake.startswith("http://"):
            connection.execute(f"LOAD {text(httpfs_path())}")
            # SQL may make a secret of type http in memory, which can name a proxy: what is read on loopback would leave the pod by
            # it, addresses of the project's making included. This client goes by no proxy where the environment says so.
            os.environ["NO_PROXY"] = os.environ["no_proxy"] = "*"
            connection.execute("SET httpfs_client_implementation = 'curl'")
            # Longer than the runner tries to read from object storage itself, which then knows why it could not.
            connection.execute("SET http_timeout = 90")
            # A file of the lake never changes.
            connection.execute("SET enable_http_metadata_cache = true")
        lock(connection, export)


def lock(connection: duckdb.DuckDBPyConnection, export: str = "") -> None:
    """From here on SQL reads the lake's files of this run and the project's seeds, writes to the database and where it
    spills, and changes none of this. It can name no other file, host or extension."""
    folders = [folder for folder in (CURRENT.lake, export and os.path.join(export, "")) if folder]
    connection.execute("SET allow_persistent_secrets = false")
    connection.execute("SET autoload_known_extensions = false")
    connection.execute(f"SET allowed_directories = {texts(folders)}")
    # DuckDB looks at the folder itself, too, before it writes into it.
    connection.execute(f"SET allowed_paths = {texts([*CURRENT.seeds, *filter(None, [export])])}")
    connection.execute("SET enable_external_access = false")
    connection.execute("SET lock_configuration = true")


def connect(export: str = "") -> duckdb.DuckDBPyConnection:
    """A connection of this package's own, set up like dbt's. To be closed before dbt starts."""
    connection = duckdb.connect(CURRENT.database)
    configure(connection, export)
    return connection


def aside() -> duckdb.DuckDBPyConnection:
    """A database of its own in memory, for a question about a project's words; they may be any SQL, so it is locked too."""
    connection = duckdb.connect()
    lock(connection)
    return connection


def httpfs_path() -> str:
    """The extension as the wheel brings it: nothing is downloaded."""
    found = importlib.util.find_spec("duckdb_extension_httpfs")
    if found is None or not found.submodule_search_locations:
        raise RuntimeError("package duckdb-extension-httpfs is not installed; install it in DuckDB's version")
    pattern = os.path.join(
        found.submodule_search_locations[0], "extensions", f"v{duckdb.__version__}", "httpfs.duckdb_extension"
    )
    paths = glob.glob(pattern)
    if not paths:
        raise RuntimeError(f"no httpfs extension at {pattern}; its package must have DuckDB's version")
    return paths[0]


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str | None) -> str:
    """A quoted text, or null."""
    return "null" if value is None else "'" + value.replace("'", "''") + "'"


def texts(values: list[str]) -> str:
    """A list of quoted texts."""
    return "[" + ", ".join(text(value) for value in values) + "]"
