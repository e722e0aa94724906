"""The calls of `aws s3api` that the runbook makes, by boto3, with --query and --output text as the real one has them. AWS_ENDPOINT_URL says where."""

import os
import sys

import boto3
import jmespath

service, operation, *rest = sys.argv[1:]
if service != "s3api":
    sys.exit(f"only s3api is known here, not {service}")
options = dict(zip(rest[::2], rest[1::2], strict=True))
query = options.pop("--query", None)
options.pop("--output", None)
arguments = {"".join(word.capitalize() for word in name.removeprefix("--").split("-")): value for name, value in options.items()}
client = boto3.client("s3", endpoint_url=os.environ["AWS_ENDPOINT_URL"])
answer = getattr(client, operation.replace("-", "_"))(**arguments)
if query:
    for row in jmespath.search(query, answer) or []:
        print("\t".join(str(cell) for cell in row))
