"""A project that changes its ways after it was looked at is held to the run all the same. Runs whole projects in a process, as the runner does."""

import json
import os
import subprocess
import sys
import tempfile
import unittest

from medallion_dbt.project import strays

PROJECT = """
name: shop
profile: shop
models: {shop: {+tags: [silver]}}
"""

PROFILE = """
shop:
  target: run
  outputs:
    run:
      type: duckdb
      path: "{{ env_var('MEDALLION_SCRATCH') }}/build.duckdb"
      schema: main
      keep_open: false
      plugins: [{module: medallion_dbt.plugin}]
"""

ORDERS = """
models:
  - name: orders
    config:
      materialized: table
      contract: {enforced: true}
      meta: {medallion: {publish: true, replace: table, key: [id]}}
    columns: [{name: id, data_type: varchar}]
"""

CLEAR = "{% do adapter.config.credentials.plugins.clear() %}"
SCHEMAS = "{% macro duckdb__list_schemas(database) %}" + CLEAR + "{{ return(run_query('select schema_name from duckdb_schemas()')) }}{% endmacro %}"


class Held(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder, self.project = folder.name, os.path.join(folder.name, "project")
        self.token = self.write("../token", "secret of the service account")
        self.write("dbt_project.yml", PROJECT)
        self.write("profiles.yml", PROFILE)
        self.write("models/orders.yml", ORDERS)
        self.write("models/orders.sql", f"select content as id from read_text('{self.token}')")

    def write(self, path, content):
        path = os.path.normpath(os.path.join(self.project, path))
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(content)
        return path

    def answers(self):
        """What the process says to being asked to open the project, and then to build it."""
        scratch = os.path.join(self.folder, "scratch")
        os.makedirs(scratch, exist_ok=True)
        process = subprocess.Popen(
            [sys.executable, "-m", "medallion_dbt"], cwd=scratch, env={**os.environ, "MEDALLION_SCRATCH": scratch},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        opened = {"do": "open", "project": self.project, "scratch": scratch, "lake": "", "layer": "silver",
                  "memory_bytes": 2**28, "threads": 1}
        with process:
            given = []
            for request in [opened, {"do": "build", "layer": "silver"}]:
                process.stdin.write(json.dumps(request) + "\n")
                process.stdin.flush()
                lines = map(json.loads, process.stdout)
                given.append(next(line for line in lines if "progress" not in line))
                if "error" in given[-1]:
                    break
        return given

    def refused(self, words, kind="project"):
        """Opens and builds; the last answer is a fault of the project in these words, and says nothing of the token."""
        error = self.answers()[-1].get("error")
        self.assertIsNotNone(error)
        self.assertEqual(error["kind"], kind, error)
        self.assertIn(words, error["message"])
        self.assertNotIn("secret of", error["message"])

    def test_a_model_reads_no_token(self):
        self.refused("disabled by configuration")

    def test_a_profile_that_is_another_one_after_it_was_parsed_opens_nothing(self):
        for line in [
            "plugins: \"{{ [{'module': 'medallion_dbt.plugin'}] if flags.WHICH == 'parse' else [] }}\"",
            "plugins: [{module: \"{{ 'medallion_dbt.plugin' if flags.WHICH == 'parse' else 'sqlalchemy' }}\"}]",
        ]:
            with self.subTest(line):
                self.write("profiles.yml", PROFILE.replace("plugins: [{module: medallion_dbt.plugin}]", line))
                self.refused("profiles.yml: plugins must be medallion_dbt.plugin")

    def test_a_macro_takes_nothing_away_from_the_profile_that_was_looked_at(self):
        self.write("macros/schemas.sql", SCHEMAS)
        self.refused("profiles.yml: plugins must be medallion_dbt.plugin")

    def test_a_link_shows_no_file_of_elsewhere(self):
        for path in ["models/shown.sql", "seeds/shown.csv", "docs/shown.md"]:
            place = os.path.join(self.project, path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            os.symlink(self.token, place)
            self.refused(f"{path} is a link to a file outside of the project", "unfit")
            os.remove(place)


class Links(unittest.TestCase):
    def test_links_within_a_project_and_to_the_folders_of_packages_are_none_of_elsewhere(self):
        with tempfile.TemporaryDirectory() as folder:
            project, package = os.path.join(folder, "project"), os.path.join(folder, "package")
            for path in [os.path.join(project, "..data"), os.path.join(project, "dbt_packages"), package]:
                os.makedirs(path)
                with open(os.path.join(path, "a.sql"), "w", encoding="utf-8") as file:
                    file.write("select 1")
            # As a mounted ConfigMap has them.
            os.symlink("..data/a.sql", os.path.join(project, "a.sql"))
            os.symlink("a.sql", os.path.join(package, "b.sql"))
            os.symlink(package, os.path.join(project, "dbt_packages", "package"))
            os.symlink(project, os.path.join(project, "circle"))
            os.symlink("/dev/null", os.path.join(project, "python3"))
            self.assertEqual(strays(project), [])
            os.symlink(os.path.join(package, "a.sql"), os.path.join(project, "c.sql"))
            self.assertEqual(len(strays(project)), 1)
