"""Prints the rows of a Bronze table as JSON, as DuckDB reads them through the table's log."""

import json
import pathlib
import sys

import duckdb

endpoint, key, secret, region, table = sys.argv[1:6]
connection = duckdb.connect()
packages = pathlib.Path(duckdb.__file__).parent.parent
for name in ("httpfs", "delta"):
    extension = next(packages.glob(f"duckdb_extension_{name}/extensions/*/{name}.duckdb_extension"))
    connection.execute(f"LOAD '{extension}'")
connection.execute(
    f"CREATE SECRET (TYPE s3, KEY_ID '{key}', SECRET '{secret}', REGION '{region}', "
    f"ENDPOINT '{endpoint.removeprefix('http://')}', URL_STYLE 'path', USE_SSL false)"
)
rows = connection.execute(
    f"SELECT _change, _key, _event_id, _sequence FROM delta_scan('{table}') ORDER BY _sequence"
).fetchall()
print(json.dumps([dict(zip(("change", "key", "event", "sequence"), row, strict=True)) for row in rows]))
