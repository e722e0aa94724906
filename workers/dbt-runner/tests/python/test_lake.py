"""What models see of the lake, what is looked up in it, and what is written for it: on files in a temporary folder."""

import os
import tempfile
import unittest
from unittest import mock

import duckdb

from medallion_dbt import engine, publish, touched, views


def column(name, kind="VARCHAR"):
    return {"name": name, "type": kind}


class Lake(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = os.path.join(folder.name, "lake", "")
        os.mkdir(self.folder)
        engine.CURRENT.work_in(folder.name, 2**28, 2)
        self.addCleanup(mock.patch.stopall)
        mock.patch.multiple(engine.CURRENT, lake=self.folder, seeds=[]).start()
        self.connection = engine.connect()
        self.addCleanup(self.connection.close)

    def file(self, name, query, **partition):
        path = os.path.join(self.folder, name)
        with duckdb.connect() as outside:
            outside.execute(f"COPY ({query}) TO '{path}' (FORMAT parquet)")
        return {"url": f"file://{path}", "partition": partition}

    def rows(self, query):
        return self.connection.execute(query).fetchall()


class Views(Lake):
    def view(self, files, columns, partition_by=("part_date",)):
        view = {"schema": "silver", "name": "lines_new", "columns": columns}
        views.create(self.connection, [{**view, "partition_by": list(partition_by), "files": files}])

    def test_a_view_without_files_has_columns_and_types(self):
        self.view([], [column("id", "BIGINT"), column("amount", "DECIMAL(18,2)"), column("part_date")])
        described = [(row[0], row[1]) for row in self.rows("DESCRIBE silver.lines_new")]
        self.assertEqual(described, [("id", "BIGINT"), ("amount", "DECIMAL(18,2)"), ("part_date", "VARCHAR")])
        self.assertEqual(self.rows("SELECT * FROM silver.lines_new"), [])

    def test_rows_get_the_partition_of_their_file_whatever_its_path_says(self):
        os.mkdir(os.path.join(self.folder, "part_date=wrong"))
        files = [
            self.file("part_date=wrong/a.parquet", "SELECT 1 AS id", part_date="it's 2010"),
            self.file("b.parquet", "SELECT 2 AS id", part_date=None),
        ]
        self.view(files, [column("id", "BIGINT"), column("part_date")])
        self.assertEqual(self.rows("SELECT * FROM silver.lines_new ORDER BY id"), [(1, "it's 2010"), (2, None)])

    def test_files_older_than_a_column_have_nulls_and_columns_that_no_model_knows_are_left_out(self):
        files = [
            self.file("old.parquet", "SELECT 1 AS id", part_date="1"),
            self.file("new.parquet", "SELECT 2 AS id, 'x' AS note, true AS other", part_date="2"),
        ]
        self.view(files, [column("id", "BIGINT"), column("note"), column("part_date")])
        self.assertEqual(self.rows("SELECT * FROM silver.lines_new ORDER BY id"), [(1, None, "1"), (2, "x", "2")])

    def test_the_time_of_each_view_is_reported(self):
        view = {"schema": "gold", "name": "days_kept", "columns": [column("id", "BIGINT")], "partition_by": []}
        took = views.create(self.connection, [{**view, "files": [self.file("a.parquet", "SELECT 1 AS id")]}])
        self.assertEqual([entry["name"] for entry in took], ["gold.days_kept"])
        self.assertGreater(took[0]["seconds"], 0)

    def test_the_runs_time_is_an_instant(self):
        views.create_context(self.connection, {"as_of": "2010-12-10T01:00:00+01:00", "run_uid": "u"})
        self.assertEqual(self.rows("SELECT epoch(as_of) FROM run.context"), [(1291939200,)])


class Touched(Lake):
    def look_up(self, files):
        request = {"table": "lines", "changes": "changes", "key": ["id"], "partition_by": ["part_date"], "files": files}
        return [entry["part_date"] for entry in touched.look_up(self.connection, request)]

    def test_the_days_of_new_rows_and_the_days_where_their_keys_stand(self):
        self.connection.execute(
            "CREATE TABLE changes AS FROM (VALUES ('moved', '2'), ('removed', NULL), ('fresh', '5')) AS new (id, part_date)"
        )
        files = [
            self.file("1.parquet", "SELECT 'moved' AS id, 7 AS quantity", part_date="1"),
            self.file("3.parquet", "SELECT 'removed' AS id, 7 AS quantity", part_date="3"),
            self.file("4.parquet", "SELECT 'other' AS id, 7 AS quantity", part_date="4"),
        ]
        self.assertEqual(self.look_up(files), ["1", "2", "3", "5"])
        self.assertEqual(self.look_up([]), ["2", "5"])

    def test_a_key_with_a_partition_column_is_looked_up_by_the_rest_of_it(self):
        self.connection.execute("CREATE TABLE changes AS SELECT 'moved' AS id, '2' AS part_date")
        files = [self.file("1.parquet", "SELECT 'moved' AS id", part_date="1")]
        for key, days in [(["id", "part_date"], ["1", "2"]), (["part_date"], ["2"])]:
            request = {"table": "lines", "changes": "changes", "key": key, "partition_by": ["part_date"], "files": files}
            self.assertEqual([entry["part_date"] for entry in touched.look_up(self.connection, request)], days)

    def test_nothing_new_touches_nothing(self):
        self.connection.execute("CREATE TABLE changes (id VARCHAR, part_date VARCHAR)")
        self.assertEqual(self.look_up([self.file("1.parquet", "SELECT 'a' AS id", part_date="1")]), [])


class Publish(Lake):
    def export(self, partition_by=("part_date",), limit=1000):
        request = {"table": "lines", "key": ["id"], "partition_by": list(partition_by), "max_file_rows": limit}
        # The runner's requests come in turns, each with a connection of its own.
        self.connection.close()
        return publish.export(request)

    def test_a_file_holds_one_partition_without_its_column_and_no_more_rows_than_the_limit(self):
        self.connection.execute("CREATE TABLE lines AS SELECT i AS id, 'a/b=' || (i % 2) AS part_date FROM range(50) t (i)")
        answer = self.export(limit=10)
        self.assertEqual(answer["rows"], 50)
        self.assertEqual([file["rows"] for file in answer["files"]], [10, 10, 5, 10, 10, 5])
        self.assertEqual({file["partition"]["part_date"] for file in answer["files"]}, {"a/b=0", "a/b=1"})
        for file in answer["files"]:
            rows = duckdb.execute("SELECT * FROM read_parquet($1, hive_partitioning = false)", [file["path"]])
            self.assertEqual([described[0] for described in rows.description], ["id"])
            remainders = {row[0] % 2 for row in rows.fetchall()}
            self.assertEqual(remainders, {int(file["partition"]["part_date"][-1])})

    def test_a_table_without_partitions_is_one_file(self):
        self.connection.execute("CREATE TABLE lines AS SELECT i AS id FROM range(5) t (i)")
        answer = self.export(partition_by=())
        self.assertEqual([(file["partition"], file["rows"]) for file in answer["files"]], [({}, 5)])

    def test_no_rows_are_no_files(self):
        self.connection.execute("CREATE TABLE lines (id BIGINT, part_date VARCHAR)")
        self.assertEqual(self.export(), {"rows": 0, "files": []})

    def test_a_row_without_partition_is_refused(self):
        self.connection.execute("CREATE TABLE lines AS SELECT 1 AS id, CAST(NULL AS VARCHAR) AS part_date")
        with self.assertRaisesRegex(publish.Unfit, "1 rows of lines have no value"):
            self.export()


class Spill(Lake):
    def test_what_does_not_fit_into_memory_leaves_room_on_the_disk(self):
        self.connection.close()
        engine.CURRENT.spill_bytes, engine.CURRENT.memory_bytes = 1_000_000, 40_000_000
        with engine.connect() as connection:
            with self.assertRaisesRegex(duckdb.OutOfMemoryException, "max_temp_directory_size"):
                connection.execute("CREATE TABLE big AS SELECT md5(i::VARCHAR) AS a, i FROM range(3000000) t (i) ORDER BY a")
