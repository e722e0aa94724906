"""What a project's profile may say. dbt-duckdb opens databases, extensions, files and Python modules by it, and a run has its own. No network."""

from dbt.adapters.duckdb.environments.local import LocalEnvironment
from dbt_common.exceptions import DbtRuntimeError

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


def no_python(*_, **__):
    """Stands for dbt-duckdb's ways out of SQL, which a macro could take: Python code, and its plugins' own readers and writers."""
    raise DbtRuntimeError("Python code and plugins run in no layer; write it in SQL")


LocalEnvironment.submit_python_job = no_python
LocalEnvironment.load_source = no_python
LocalEnvironment.store_relation = no_python
