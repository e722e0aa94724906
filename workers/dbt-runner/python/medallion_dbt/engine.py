"""The DuckDB database of the run: limits, extension, S3 secret. Opens connections to object storage when used.

dbt and this package open the same file in turns, never at once, and set each connection up with what is held here.
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
    storage: dict | None = field(default=None, repr=False)

    def work_in(self, scratch: str, memory_bytes: int, threads: int) -> None:
        """Takes half of the room for what does not fit into memory: the other half is for the tables and the files made
        of them. A full disk would take the whole node along, and the run that filled it would begin anew elsewhere."""
        self.scratch, self.memory_bytes, self.threads = scratch, memory_bytes, threads
        self.spill_bytes = shutil.disk_usage(scratch).free // 2

    @property
    def database(self) -> str:
        return os.path.join(self.scratch, "build.duckdb")


CURRENT = Engine()


def configure(connection: duckdb.DuckDBPyConnection) -> None:
    """Sets a fresh connection up. Outside a run (a developer's `dbt build`) there is nothing to set."""
    connection.execute("SET autoinstall_known_extensions = false")
    connection.execute("SET TimeZone = 'UTC'")
    if CURRENT.scratch:
        spill = os.path.join(CURRENT.scratch, "spill")
        connection.execute(f"SET temp_directory = {text(spill)}")
        connection.execute(f"SET max_temp_directory_size = '{int(CURRENT.spill_bytes)}B'")
        connection.execute(f"SET threads = {int(CURRENT.threads)}")
        connection.execute(f"SET memory_limit = '{int(CURRENT.memory_bytes)}B'")
        connection.execute("SET preserve_insertion_order = false")
        connection.execute("SET parquet_metadata_cache = true")
    if CURRENT.storage is not None:
        connection.execute(f"LOAD {text(httpfs_path())}")
        authorities = os.environ.get("SSL_CERT_FILE")
        if authorities:
            # Unlike the runner's own libraries DuckDB does not know the name.
            connection.execute(f"SET ca_cert_file = {text(authorities)}")
        connection.execute(secret(CURRENT.storage))


def connect() -> duckdb.DuckDBPyConnection:
    """A connection of this package's own, set up like dbt's. To be closed before dbt starts."""
    connection = duckdb.connect(CURRENT.database)
    configure(connection)
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


def secret(storage: dict) -> str:
    """The statement that lets DuckDB read from S3 as the runner does."""
    settings = {
        "KEY_ID": text(storage["key_id"]),
        "SECRET": text(storage["secret"]),
        "REGION": text(storage["region"]),
    }
    if storage.get("session_token"):
        settings["SESSION_TOKEN"] = text(storage["session_token"])
    if storage.get("endpoint"):
        scheme, _, host = storage["endpoint"].rpartition("://")
        settings["ENDPOINT"] = text(host.rstrip("/"))
        settings["USE_SSL"] = "false" if scheme == "http" else "true"
    if storage.get("path_style"):
        settings["URL_STYLE"] = text("path")
    pairs = ", ".join(f"{name} {value}" for name, value in settings.items())
    return f"CREATE OR REPLACE SECRET lake (TYPE s3, {pairs})"


def name(identifier: str) -> str:
    """A quoted identifier."""
    return '"' + identifier.replace('"', '""') + '"'


def text(value: str | None) -> str:
    """A quoted text, or null."""
    return "null" if value is None else "'" + value.replace("'", "''") + "'"
