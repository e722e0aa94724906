"""Runs one layer of a dbt project on DuckDB for the dbt-runner, which decides what is read and what is published.

The runner starts `python -m medallion_dbt` once per run, sends one JSON request per line and gets one JSON answer per
line. The process stays warm: the project is parsed once. Reads Parquet files from object storage through DuckDB, writes
to its scratch folder only, commits nothing.
"""
