"""What a project's profile may say. dbt-duckdb opens databases, extensions, files and Python modules by it, and a run has its own. No network."""

from dbt.adapters.duckdb import environments
from dbt.adapters.duckdb.environments.local import LocalEnvironment
from dbt_common.exceptions import DbtRuntimeError

from . import engine

PLUGIN = "medallion_dbt.plugin"
# What dbt-duckdb would open, load or set by the profile, beside the database.
OPENING = (
    "attach", "config_options", "extensions", "filesystems", "flights", "module_paths", "motherduck_token", "remote", "secrets",
    "use_credential_provider",
)


def findings(adapters: dict, database: str) -> list[str]:
    """What is wrong with the profile that dbt has read, by the adapters that it has made."""
    if list(adapters) != ["duckdb"]:
        return [f"profiles.yml: type must be duckdb, not {', '.join(adapters) or 'missing'}"]
    return of_credentials(adapters["duckdb"].config.credentials, database)


def of_credentials(credentials, database: str) -> list[str]:
    """What is wrong with the part about DuckDB."""
    found = [
        f"profiles.yml: {name} opens what no run knows of; leave it out"
        for name in OPENING
        if getattr(credentials, name, None)
    ]
    if credentials.settings:
        names = ", ".join(sorted(credentials.settings))
        found.append(
            f"profiles.yml: settings ({names}) cannot be changed in a run, whose time zone is UTC and whose limits are the "
            "worker's; leave settings out"
        )
    modules = [plugin.module for plugin in credentials.plugins or []]
    if modules != [PLUGIN]:
        found.append(f"profiles.yml: plugins must be {PLUGIN} alone: it sets each connection up for the run")
    if credentials.path != database:
        found.append(
            "profiles.yml: path must be \"{{ env_var('MEDALLION_SCRATCH', '/scratch') }}/build.duckdb\", the database of the run"
        )
    if credentials.keep_open:
        found.append("profiles.yml: keep_open must be false: the runner and dbt open the database in turns")
    return found


class Environment(LocalEnvironment):
    """The only environment of a run. dbt reads the profile anew for each command, and what it has read can be changed from a
    macro: so it is looked at again whenever something is opened by it, and not only once."""

    @classmethod
    def initialize_db(cls, creds, plugins=None):
        hold(creds)
        connection = super().initialize_db(creds, plugins)
        if not connection.execute("SELECT current_setting('lock_configuration')").fetchone()[0]:
            connection.close()
            raise DbtRuntimeError(f"profiles.yml: the database was opened without {PLUGIN}, which holds it to the run")
        return connection

    # dbt-duckdb's ways out of SQL, which a macro could take: Python code, and its plugins' own readers and writers.

    def submit_python_job(self, *_, **__):
        raise no_python()

    def load_source(self, *_, **__):
        raise no_python()

    def store_relation(self, *_, **__):
        raise no_python()


def hold(creds) -> None:
    """Lets nothing be opened by a profile that no run allows."""
    found = of_credentials(creds, engine.CURRENT.database)
    if found:
        raise DbtRuntimeError("\n".join(found))


def no_python() -> DbtRuntimeError:
    """What a macro is told that wants out of SQL."""
    return DbtRuntimeError("Python code and plugins run in no layer; write it in SQL")


def environment(creds) -> Environment:
    """Stands for dbt-duckdb's choice by what the profile says. What comes with an environment is opened by it, too."""
    hold(creds)
    return Environment(creds)


environments.create = environment
