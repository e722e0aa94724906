"""What a session leaves behind when a request fails."""

import json
import os
import tempfile
import unittest
from types import SimpleNamespace

from dbt import flags
from dbt.contracts.graph.manifest import Manifest

from medallion_dbt import engine
from medallion_dbt.__main__ import Session
from medallion_dbt.invoke import Failure, Project


class Asked(unittest.TestCase):
    def test_a_layer_is_built_with_all_its_tests_whatever_the_projects_flags_say(self):
        asked = []

        class Noted(Project):
            def invoke(self, command, *arguments):
                asked.extend([command, *arguments])
                return SimpleNamespace(result=SimpleNamespace(results=[]))

        Noted("project", print).build("gold")
        self.assertEqual(asked[:3], ["build", "--select", "tag:gold"])
        self.assertEqual(asked[asked.index("--indirect-selection") + 1], "eager")
        self.assertIn("--no-fail-fast", asked)


class Failed(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        engine.CURRENT.work_in(folder.name, 2**28, 1)
        self.manifest = os.path.join(folder.name, "target", "manifest.json")
        self.addCleanup(flags.set_flags, flags.get_flags())
        flags.set_flags(SimpleNamespace(SEND_ANONYMOUS_USAGE_STATS=False))
        self.session = Session(print)
        self.session.project = Project(folder.name, print)

    def fail_once(self):
        """Fails a request; what the runner hears of it is the failure, whatever becomes of the manifest."""
        self.assertEqual(self.session.failed(Failure("days", "no such column"))["error"]["node"], "days")

    def written(self):
        with open(self.manifest, encoding="utf-8") as file:
            return json.load(file)

    def test_before_dbt_has_written_its_manifest_what_was_parsed_is_left(self):
        self.session.project.manifest = Manifest()
        self.fail_once()
        self.assertEqual(self.written()["nodes"], {})

    def test_what_dbt_has_written_stays(self):
        os.mkdir(os.path.dirname(self.manifest))
        with open(self.manifest, "w", encoding="utf-8") as file:
            file.write('"by dbt"')
        self.session.project.manifest = Manifest()
        self.fail_once()
        self.assertEqual(self.written(), "by dbt")

    def test_what_was_not_parsed_leaves_none(self):
        self.fail_once()
        self.session.project = None
        self.fail_once()
        self.assertFalse(os.path.exists(self.manifest))

    def test_a_manifest_that_cannot_be_written_hides_nothing(self):
        self.session.project.manifest = SimpleNamespace()
        self.fail_once()
