"""Writes and reads a Delta table by deltalake, without any code of the product: `write URL` makes four versions, `read URL` prints what it sees, and the file of the first."""

import os
import sys

from arro3.core import Array, DataType, Table
from deltalake import DeltaTable, QueryBuilder, write_deltalake

STORAGE = {
    "AWS_ENDPOINT_URL": os.environ["AWS_ENDPOINT_URL"],
    "AWS_ACCESS_KEY_ID": os.environ["AWS_ACCESS_KEY_ID"],
    "AWS_SECRET_ACCESS_KEY": os.environ["AWS_SECRET_ACCESS_KEY"],
    "AWS_REGION": os.environ["AWS_REGION"],
    "AWS_ALLOW_HTTP": "true",
}

what, url = sys.argv[1:]
if what == "write":
    for version in range(4):
        ids = Array(range(version * 10, version * 10 + 10), type=DataType.int64())
        write_deltalake(url, Table.from_pydict({"id": ids}), mode="append", storage_options=STORAGE)
table = DeltaTable(url, storage_options=STORAGE)
rows = QueryBuilder().register("found", table).execute("SELECT id FROM found ORDER BY id").read_all()
print(f"version {table.version()}: {rows['id'].to_pylist()}")
(first,) = DeltaTable(url, version=0, storage_options=STORAGE).file_uris()
print(first.removeprefix(f"{url}/"))
