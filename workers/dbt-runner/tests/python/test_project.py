"""What is read out of a project, what is refused in it, and whose fault a failure is."""

import unittest
from types import SimpleNamespace

from medallion_dbt.invoke import Failure
from medallion_dbt.project import ProjectError, describe


def model(name, parents=(), enforced=True, columns=("id", "part_date"), **medallion):
    wanted = {"publish": True, "replace": "partitions", "key": ["id"], "partition_by": ["part_date"], **medallion}
    return SimpleNamespace(
        name=name,
        unique_id=f"model.shop.{name}",
        resource_type="model",
        original_file_path=f"models/{name}.sql",
        config=SimpleNamespace(tags=["gold"], meta={"medallion": wanted}, contract=SimpleNamespace(enforced=enforced)),
        columns={column: SimpleNamespace(name=column, data_type="varchar") for column in columns},
        depends_on=SimpleNamespace(nodes=list(parents)),
    )


def manifest(*models):
    sources = {
        f"source.shop.silver.{name}": SimpleNamespace(schema="silver", identifier=name) for name in ["lines_touched", "other"]
    }
    return SimpleNamespace(nodes={node.unique_id: node for node in models}, sources=sources)


class Describe(unittest.TestCase):
    def test_who_reads_a_table_is_committed_after_it(self):
        value = model("a_value", ["model.shop.days"], replace="table", partition_by=[])
        days = model("days", ["source.shop.silver.lines_touched"])
        answer = describe(manifest(value, days), "gold")
        self.assertEqual([table["name"] for table in answer["tables"]], ["days", "a_value"])
        self.assertEqual(answer["sources"], [{"schema": "silver", "name": "lines_touched"}])

    def test_types_are_duckdbs_own(self):
        node = model("days")
        node.columns["id"].data_type = "decimal(18, 2)"
        self.assertEqual(describe(manifest(node), "gold")["tables"][0]["columns"][0]["type"], "DECIMAL(18,2)")

    def test_what_is_wrong_is_said_with_the_models_name(self):
        cases = [
            ("replace must be", model("days", replace="rows")),
            ("contract.enforced", model("days", enforced=False)),
            ("key must name", model("days", key=[])),
            ("partition_by must name", model("days", partition_by=[])),
            ("partition_by must name", model("days", replace="table")),
            ("not among the model's columns", model("days", key=["nothing"])),
            ("must begin with part_", model("days", partition_by=["id"])),
            ("no model of the layer", model("days", changes="nothing")),
        ]
        for words, node in cases:
            with self.subTest(words), self.assertRaisesRegex(ProjectError, f"days.*{words}"):
                describe(manifest(node), "gold")

    def test_a_layer_that_publishes_nothing_is_a_mistake(self):
        with self.assertRaisesRegex(ProjectError, "silver"):
            describe(manifest(model("days")), "silver")


class Blame(unittest.TestCase):
    def test_files_network_and_memory_are_not_the_projects_fault(self):
        for message in [
            "Runtime Error in model x\n  HTTP Error: 503",
            "Runtime Error in model x\n  IO Error: Could not establish connection",
            "Runtime Error in model x\n  Out of Memory Error: failed to allocate",
            "Runtime Error in model x\n  INTERNAL Error: Attempted to access index 0",
        ]:
            self.assertEqual(Failure("x", message).kind, "environment", message)

    def test_sql_and_tests_are(self):
        for message in ["Binder Error: no column", "Got 3 results, configured to fail if != 0"]:
            self.assertEqual(Failure("x", message).kind, "project", message)
