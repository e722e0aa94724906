"""What a project's SQL can reach while it runs: the lake's files of the run and the project's seeds, and nothing else."""

import http.server
import os
import re
import tempfile
import threading
import unittest
from types import SimpleNamespace
from unittest import mock

import duckdb
from dbt.adapters.duckdb.credentials import DuckDBCredentials, PluginConfig

from medallion_dbt import engine, profile, views
from medallion_dbt.__main__ import error
from medallion_dbt.invoke import Failure, seeds
from medallion_dbt.project import type_of


class Locked(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        self.lake, self.seed, self.token = (os.path.join(self.folder, name) for name in ("lake/", "fees.csv", "token"))
        os.mkdir(self.lake)
        for path in (self.seed, self.token):
            with open(path, "w", encoding="utf-8") as file:
                file.write("word\nsecret\n")
        with duckdb.connect() as outside:
            outside.execute(f"COPY (SELECT 1 AS id) TO '{self.lake}a.parquet'")
        self.addCleanup(mock.patch.stopall)
        mock.patch.multiple(engine.CURRENT, lake=self.lake, seeds=[self.seed]).start()
        engine.CURRENT.work_in(self.folder, 2**28, 1)
        self.connection = engine.connect()
        self.addCleanup(self.connection.close)

    def refused(self, statement):
        """Tries a statement, and gives the words with which it was refused."""
        with self.assertRaises(duckdb.Error, msg=statement) as caught:
            self.connection.execute(statement).fetchall()
        return str(caught.exception)

    def test_the_lake_and_the_seeds_are_read_and_tables_are_built(self):
        self.assertEqual(self.connection.execute(f"SELECT * FROM read_parquet('{self.lake}a.parquet')").fetchall(), [(1,)])
        self.connection.execute("CREATE TABLE fees (word VARCHAR)")
        self.connection.execute(f"COPY fees FROM '{self.seed}' (FORMAT CSV, HEADER TRUE)")
        self.connection.execute("CHECKPOINT")
        self.assertEqual(self.connection.execute("FROM fees").fetchall(), [("secret",)])

    def test_no_other_file_is_read(self):
        link = os.path.join(self.folder, "link")
        os.symlink(self.token, link)
        for path in [self.token, "/proc/self/environ", f"{self.lake}../token", link, f"{self.folder}/*", "http://127.0.0.1:9/x"]:
            for function in ("read_text", "read_blob", "read_csv", "glob"):
                with self.subTest(path=path, function=function):
                    self.assertIn("disabled by configuration", self.refused(f"FROM {function}('{path}')"))

    def test_nothing_is_written_beside_the_database(self):
        path = os.path.join(self.folder, "out.csv")
        for statement in [
            f"COPY (SELECT 1) TO '{path}'",
            f"COPY (SELECT 1) TO '{engine.CURRENT.database}'",
            "COPY (SELECT 1) TO 's3://elsewhere/out.parquet'",
            f"EXPORT DATABASE '{self.folder}/out'",
        ]:
            self.assertIn("disabled by configuration", self.refused(statement), statement)
        self.assertFalse(os.path.exists(path))

    def test_no_extension_database_or_secret_comes_in(self):
        for statement in [
            "INSTALL spatial",
            "LOAD spatial",
            f"LOAD '{self.folder}/own.duckdb_extension'",
            f"ATTACH '{self.folder}/other.duckdb'",
            f"IMPORT DATABASE '{self.folder}'",
        ]:
            self.assertRegex(self.refused(statement), "disabled (by|through) configuration", statement)

    def test_the_configuration_stays_on_every_cursor(self):
        for connection in [self.connection, self.connection.cursor()]:
            for change in [
                "SET enable_external_access = true",
                "SET lock_configuration = false",
                "SET allowed_directories = ['/']",
                "RESET allowed_paths",
                "SET allow_unredacted_secrets = true",
                "SET memory_limit = '1TB'",
                "SET TimeZone = 'Asia/Tokyo'",
            ]:
                with self.subTest(change), self.assertRaisesRegex(duckdb.InvalidInputException, "has been locked"):
                    connection.execute(change)
            self.assertEqual(connection.execute("SELECT current_setting('TimeZone')").fetchone(), ("UTC",))

    def test_who_asks_for_more_is_told_what_a_run_gives_and_the_run_is_not_tried_again(self):
        for statement in [f"FROM read_text('{self.token}')", "SET threads = 99", "LOAD spatial"]:
            words = self.refused(statement)
            failure = Failure("days", f"Runtime Error in model days\n  {words}")
            self.assertEqual(failure.kind, "project", words)
            self.assertIn("as events or as a seed", failure.message)
        with self.assertRaises(duckdb.Error) as caught:
            self.connection.execute(f"FROM read_text('{self.token}')")
        said = error(caught.exception)
        self.assertEqual(said["kind"], "project")
        self.assertIn("as events or as a seed", said["message"])

    def test_a_columns_type_is_no_way_in(self):
        out = os.path.join(self.folder, "out.csv")
        for declared in [
            f"INTEGER); COPY (FROM read_text('{self.token}')) TO '{out}'; SELECT (1",
            f"STRUCT(a INTEGER)) FROM read_text('{self.token}'); SELECT (1",
        ]:
            known, complaint = type_of(declared)
            self.assertIsNone(known)
            self.assertIn("disabled by configuration", complaint)
        self.assertFalse(os.path.exists(out))
        self.assertEqual(type_of("decimal(18, 2)"), ("DECIMAL(18,2)", None))

    def test_the_tables_to_publish_are_written_to_their_folder_alone(self):
        self.connection.close()
        export = os.path.join(self.folder, "export", "lines")
        os.makedirs(export)
        with engine.connect(export=export) as connection:
            connection.execute(f"COPY (SELECT 1) TO '{export}/a.parquet'")
            for path in [f"{self.folder}/export/lines_too.parquet", self.token]:
                with self.assertRaisesRegex(duckdb.PermissionException, "disabled by configuration"):
                    connection.execute(f"COPY (SELECT 1) TO '{path}' (FORMAT parquet)")


class Served(http.server.BaseHTTPRequestHandler):
    """Gives any file the same content, whole or in parts, as the runner's reader does."""

    content = b""
    asked: list = []
    # So much of each answer is sent.
    sent = None

    def do_HEAD(self):
        self.answer(200, b"", len(self.content))

    def do_GET(self):
        self.asked.append((self.path, self.headers.get("Authorization")))
        first, last = (int(number) for number in re.match(r"bytes=(\d+)-(\d+)", self.headers["Range"]).groups())
        part = self.content[first : last + 1]
        self.answer(206, part, len(part), f"bytes {first}-{last}/{len(self.content)}")

    def answer(self, status, body, length, content_range=None):
        self.send_response(status)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", '"0"')
        if content_range:
            self.send_header("Content-Range", content_range)
        self.end_headers()
        self.wfile.write(body[: self.sent])

    def log_message(self, *_):
        pass


class OverLoopback(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "a.parquet")
        with duckdb.connect() as outside:
            outside.execute(f"COPY (SELECT 7 AS id) TO '{path}'")
        with open(path, "rb") as file:
            Served.content, Served.asked, Served.sent = file.read(), [], None
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Served)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.origin = f"http://127.0.0.1:{server.server_address[1]}"
        self.addCleanup(mock.patch.stopall)
        mock.patch.multiple(engine.CURRENT, lake=f"{self.origin}/word/", seeds=[]).start()
        engine.CURRENT.work_in(folder.name, 2**28, 1)
        self.connection = engine.connect()
        self.addCleanup(self.connection.close)

    def test_a_view_reads_the_lake_and_sends_nobodys_credentials(self):
        view = {"schema": "silver", "name": "lines_new", "columns": [{"name": "id", "type": "BIGINT"}], "partition_by": []}
        files = [{"url": f"{self.origin}/word/0/a.parquet", "partition": {}}]
        views.create(self.connection, [{**view, "files": files}])
        self.assertEqual(self.connection.execute("FROM silver.lines_new").fetchall(), [(7,)])
        self.assertEqual({authorization for _, authorization in Served.asked}, {None})

    def test_what_was_read_of_a_file_is_not_asked_for_again(self):
        query = f"SELECT id FROM read_parquet('{self.origin}/word/0/a.parquet')"
        self.connection.execute(query).fetchall()
        read = len(Served.asked)
        self.assertGreater(read, 0)
        self.assertEqual(self.connection.cursor().execute(query).fetchall(), [(7,)])
        self.assertEqual(len(Served.asked), read)

    def test_an_answer_that_breaks_off_is_no_fault_of_the_project(self):
        for Served.sent in (0, 4):
            with self.subTest(sent=Served.sent), self.assertRaises(duckdb.Error) as caught:
                self.connection.execute(f"SELECT id FROM read_parquet('{self.origin}/word/0/a.parquet')")
            words = str(caught.exception)
            self.assertEqual(Failure("days", f"Runtime Error in model days\n  {words}").kind, "environment", words)
            self.assertEqual(error(caught.exception)["kind"], "environment", words)

    def test_no_secret_leads_to_a_proxy(self):
        # Nobody listens there: what went by it would fail.
        self.connection.execute("CREATE SECRET out (TYPE http, HTTP_PROXY '127.0.0.1:9')")
        query = f"SELECT id FROM read_parquet('{self.origin}/word/0/a.parquet')"
        self.assertEqual(self.connection.execute(query).fetchall(), [(7,)])

    def test_nothing_else_is_asked_for_and_nothing_is_sent(self):
        for statement in [f"FROM read_text('{self.origin}/other/a')", "FROM read_text('https://example.com/a')"]:
            with self.subTest(statement), self.assertRaisesRegex(duckdb.PermissionException, "disabled by configuration"):
                self.connection.execute(statement)
        with self.assertRaisesRegex(duckdb.Error, "Writing to HTTP files not implemented"):
            self.connection.execute(f"COPY (SELECT 1) TO '{self.origin}/word/0/a.csv'")
        self.assertEqual(Served.asked, [])


class Profile(unittest.TestCase):
    def findings(self, **change):
        about = {"path": "/scratch/build.duckdb", "keep_open": False, "plugins": [PluginConfig(module="medallion_dbt.plugin")]}
        return profile.of_credentials(DuckDBCredentials(**{**about, **change}), "/scratch/build.duckdb")

    def test_a_profile_of_the_run_is_let_through_and_any_other_is_told_what_to_leave_out(self):
        self.assertEqual(self.findings(), [])
        cases = [
            ("extensions opens", {"extensions": ["spatial"]}),
            ("filesystems opens", {"filesystems": [{"fs": "s3"}]}),
            ("module_paths opens", {"module_paths": ["/project/python"]}),
            ("config_options opens", {"config_options": {"allow_unsigned_extensions": "true"}}),
            ("secrets opens", {"secrets": [{"type": "s3", "key_id": "k", "secret": "s"}]}),
            (r"settings \(TimeZone\)", {"settings": {"TimeZone": "Asia/Tokyo"}}),
            ("plugins must be", {"plugins": None}),
            ("plugins must be", {"plugins": [PluginConfig(module=name) for name in ("medallion_dbt.plugin", "excel")]}),
            ("path must be", {"path": "/elsewhere.duckdb"}),
            ("keep_open must be false", {"keep_open": True}),
        ]
        for words, change in cases:
            with self.subTest(words):
                found = self.findings(**change)
                self.assertEqual(len(found), 1, found)
                self.assertRegex(found[0], f"^profiles.yml: {words}")

    def test_another_database_is_refused(self):
        self.assertIn("type must be duckdb, not postgres", profile.findings({"postgres": None}, "x")[0])

    def test_python_is_no_way_around(self):
        for way in ("submit_python_job", "load_source", "store_relation"):
            with self.assertRaisesRegex(Exception, "write it in SQL"):
                getattr(profile.Environment, way)(None, None, {}, "import os")

    def test_seeds_are_named_as_dbt_names_them(self):
        def node(kind, name):
            return SimpleNamespace(resource_type=kind, root_path="/project", original_file_path=f"seeds/{name}.csv")

        manifest = SimpleNamespace(nodes={"a": node("seed", "fees"), "b": node("model", "days")})
        self.assertEqual(seeds(manifest), ["/project/seeds/fees.csv"])
        self.assertEqual(seeds(None), [])
