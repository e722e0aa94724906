"""Named in profiles.yml: lets dbt-duckdb set its connections up like the runner's own. No network of its own."""

from dbt.adapters.duckdb.plugins import BasePlugin

from . import engine


class Plugin(BasePlugin):
    """Sets limits on the connection that dbt opens, and locks it."""

    def configure_connection(self, conn) -> None:
        engine.configure(conn)
