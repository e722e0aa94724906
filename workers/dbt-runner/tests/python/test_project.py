"""What is read out of a project, what is refused in it, and whose fault a failure is."""

import unittest
from types import SimpleNamespace

from medallion_dbt.invoke import Failure
from medallion_dbt.project import ProjectError, describe


def model(name, parents=(), enforced=True, columns=("id", "part_date"), layer="gold", node=(), config=(), **medallion):
    wanted = {"publish": True, "replace": "partitions", "key": ["id"], "partition_by": ["part_date"], **medallion}
    about = {
        "name": name,
        "unique_id": f"model.shop.{name}",
        "resource_type": "model",
        "package_name": "shop",
        "original_file_path": f"models/{name}.sql",
        "alias": name,
        "schema": "main",
        "database": "build",
        "language": "sql",
        "version": None,
    }
    settings = {
        "tags": layer.split(), "meta": {"medallion": wanted}, "contract": SimpleNamespace(enforced=enforced),
        "materialized": "table", "pre_hook": [], "post_hook": [],
    }
    return SimpleNamespace(
        **{**about, **dict(node)},
        config=SimpleNamespace(**{**settings, **dict(config)}),
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


class Refusals(unittest.TestCase):
    def refused(self, *nodes, layer="gold", file=None):
        with self.assertRaises(ProjectError) as caught:
            describe(manifest(*nodes), layer, file)
        return caught.exception.findings

    def test_what_keeps_state_or_renames_is_refused_with_node_file_and_fix(self):
        cases = [
            ("alias", "rename the model", {"node": {"alias": "other"}}),
            ("schema", "leave out +schema", {"node": {"schema": "main_x"}}),
            ("database", "leave out +database", {"node": {"database": "other"}}),
            ("versions", "a name, of its own", {"node": {"version": 2, "alias": "days_v2"}}),
            ("Python", "write it in SQL", {"node": {"language": "python"}}),
            ("ephemeral", "use materialized: table", {"config": {"materialized": "ephemeral"}}),
            ("incremental", "_current or _kept", {"config": {"materialized": "incremental"}}),
            ("microbatch", "_kept", {"config": {"materialized": "incremental", "incremental_strategy": "microbatch"}}),
            ("external", "use table, view or ephemeral", {"config": {"materialized": "external"}}),
            ("materialized_view", "use table", {"config": {"materialized": "materialized_view"}}),
            ("pre-hook and post-hook", "part of the model", {"config": {"pre_hook": ["a"], "post_hook": ["b"]}}),
            ("both of the tags", "one layer", {"layer": "silver gold"}),
        ]
        for word, fix, change in cases:
            with self.subTest(word):
                found = self.refused(model("days", **change))
                self.assertEqual(len(found), 1, found)
                self.assertRegex(found[0], r"^days \(models/days.sql\): ")
                self.assertIn(word, found[0])
                self.assertIn(fix, found[0])

    def test_all_findings_of_all_layers_come_in_one_message(self):
        nodes = [
            model("days"),
            model("sums", node={"alias": "other"}, config={"post_hook": ["drop"]}),
            model("lines", layer="silver", replace="rows"),
            model("history", node={"resource_type": "snapshot"}, config={"materialized": "snapshot"}, publish=False),
        ]
        with self.assertRaises(ProjectError) as caught:
            describe(manifest(*nodes), "gold")
        message = str(caught.exception)
        self.assertTrue(message.startswith("4 findings\n- "), message)
        for words in ["sums (models/sums.sql): alias", "post-hook", "lines (models/lines.sql): meta", "history (models/history"]:
            self.assertIn(words, message)

    def test_helpers_are_views_ephemeral_or_tables_and_may_not_keep_state_either(self):
        for materialized in ["view", "ephemeral", "table"]:
            describe(manifest(model("days"), model("helper", publish=False, config={"materialized": materialized})), "gold")
        found = self.refused(model("days"), model("helper", publish=False, config={"materialized": "incremental"}))
        self.assertIn("helper (", found[0])
        changes = model("helper", publish=False, config={"materialized": "ephemeral"})
        self.assertIn("meta.medallion.changes", self.refused(model("days", changes="helper"), changes)[0])

    def test_what_is_in_no_layer_and_not_published_may_be_anything(self):
        other = model("other", layer="", publish=False, config={"materialized": "incremental"}, node={"schema": "x"})
        describe(manifest(model("days"), other), "gold")

    def test_a_published_model_in_no_layer_is_named(self):
        found = self.refused(model("days"), model("other", layer=""))
        self.assertIn("other (models/other.sql): is to be published but has neither of the tags", found[0])

    def test_a_source_that_reads_something_else_is_refused(self):
        def read(**change):
            shown = manifest(model("days", ["source.shop.silver.other"]))
            for name, source in shown.sources.items():
                about = {"name": name.rsplit(".", 1)[1], "original_file_path": "models/sources.yml", "meta": {}}
                vars(source).update({**about, **(change if name.endswith(".other") else {})})
            return shown

        describe(read(), "gold")
        for change in [
            {"meta": {"external_location": "s3://elsewhere/{name}.parquet"}},
            {"config": SimpleNamespace(extra={"plugin": "excel"})},
        ]:
            with self.subTest(change), self.assertRaises(ProjectError) as caught:
                describe(read(**change), "gold")
            self.assertRegex(caught.exception.findings[0], r"^other \(models/sources.yml\): (external_location|plugin) lets")
        unread = manifest(model("days"))
        vars(unread.sources["source.shop.silver.other"]).update(meta={"plugin": "x"}, original_file_path="x", name="other")
        describe(unread, "gold")

    def test_hooks_of_the_whole_run_are_refused(self):
        operation = model("shop-on-run-start-0", publish=False, layer="", node={"resource_type": "operation"})
        self.assertIn("on-run-start", self.refused(model("days"), operation)[0])

    def test_a_seed_is_not_published(self):
        seed = model("fees", node={"resource_type": "seed"}, config={"materialized": "seed"})
        self.assertIn("fees (models/fees.sql): a seed cannot be published", self.refused(model("days"), seed)[0])

    def test_what_a_layer_builds_beside_its_models_is_held_to_the_same_rules(self):
        def seed(node=(), config=()):
            return model(
                "fees",
                publish=False,
                node={"resource_type": "seed", **dict(node)},
                config={"materialized": "seed", **dict(config)},
            )

        describe(manifest(model("days"), seed()), "gold")
        cases = [
            ("alias other renames it; rename the seed", {"node": {"alias": "other"}}),
            ("leave out +schema", {"node": {"schema": "main_x"}}),
            ("leave out +database", {"node": {"database": "other"}}),
            ("pre-hook would run SQL", {"config": {"pre_hook": ["a"]}}),
            ("post-hook would run SQL", {"config": {"post_hook": ["b"]}}),
        ]
        for words, change in cases:
            with self.subTest(words):
                found = self.refused(model("days"), seed(**change))
                self.assertEqual(len(found), 1, found)
                self.assertIn("fees (models/fees.sql): ", found[0])
                self.assertIn(words, found[0])

    def test_another_layers_model_is_read_as_a_source(self):
        lines = model("lines", layer="silver")
        reader = model("sums", ["model.shop.lines"])
        found = self.refused(lines, reader)
        self.assertEqual(len(found), 1, found)
        for words in ["sums (models/sums.sql)", "reads lines of silver by ref()", "source('silver', 'lines_touched')"]:
            self.assertIn(words, found[0])
        self.assertEqual(self.refused(lines, reader, layer="silver"), found, "before Silver is built, too")
        hidden = model("lines", layer="silver", publish=False)
        self.assertIn("publish lines", self.refused(hidden, reader)[0])
        later = self.refused(model("lines", ["model.shop.days"], layer="silver"), model("days"))
        self.assertIn("silver before gold", later[0])
        untagged = self.refused(model("lines", layer="", publish=False), reader)
        self.assertIn("which no run builds", untagged[0])
        seed = model("lines", layer="silver", publish=False, node={"resource_type": "seed"}, config={"materialized": "seed"})
        self.assertIn("tag the seed with gold", self.refused(seed, reader)[0])
        both = model("lines", layer="silver gold", publish=False)
        describe(manifest(both, reader), "gold")

    def test_a_test_needs_its_models_in_the_layers_that_it_runs_with(self):
        lines, days = model("lines", layer="silver"), model("days")
        parents = ["model.shop.lines", "model.shop.days"]
        check = model("same_sum", parents, layer="", publish=False, node={"resource_type": "test"})
        found = self.refused(lines, days, check)
        self.assertIn("same_sum (models/same_sum.sql): is of gold and reads lines of silver", " ".join(found))

    def test_a_layer_has_a_limit_of_tables_and_a_table_of_letters(self):
        describe(manifest(*(model(f"table_{number}") for number in range(64))), "gold")
        found = self.refused(*(model(f"table_{number}") for number in range(65)))
        self.assertEqual(found, ["gold publishes 65 tables, more than the 64 that a layer may have"])
        describe(manifest(model("a" * 63)), "gold")
        for name in ["a" * 64, "_runs", "a-b", "a.b", "tägliche", "Days"]:
            self.assertIn("at most 63 lower-case letters", self.refused(model(name))[0])

    def test_configuration_under_another_name_is_the_cause_that_is_named(self):
        untagged = model("days", layer="")
        file = {"name": "shop", "models": {"purchases": {"marts": {"+tags": ["gold"]}}}}
        found = self.refused(untagged, file=file)
        self.assertEqual(len(found), 1, found)
        for words in ["dbt_project.yml", "name is shop", "models: purchases", "call both the same"]:
            self.assertIn(words, found[0])
        for models in [{"shop": {}, "other_package": {}}, {"+tags": ["gold"]}, {"meta": {"owner": "me"}}, None]:
            describe(manifest(model("days")), "gold", {"name": "shop", "models": models})


class Blame(unittest.TestCase):
    def test_files_network_and_memory_are_not_the_projects_fault(self):
        for message in [
            "Runtime Error in model x\n  HTTP Error: 503",
            "Runtime Error in model x\n  IO Error: Could not establish connection",
            "Runtime Error in model x\n  Out of Memory Error: failed to allocate",
            "Runtime Error in model x\n  INTERNAL Error: Attempted to access index 0",
            "Runtime Error in model x\n  Timeout was reached",
            "Runtime Error in model x\n  Failure when receiving data from the peer",
        ]:
            self.assertEqual(Failure("x", message).kind, "environment", message)

    def test_sql_and_tests_are(self):
        for message in ["Binder Error: no column", "Got 3 results, configured to fail if != 0"]:
            self.assertEqual(Failure("x", message).kind, "project", message)
