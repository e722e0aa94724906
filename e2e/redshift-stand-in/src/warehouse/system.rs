//! The few system functions and views of Redshift that a loader asks, as PostgreSQL objects in a schema of their own; talks to PostgreSQL.

use tokio_postgres::Client;

/// At the end of every session's search path, so that the names resolve without a schema.
pub const SCHEMA: &str = "redshift_stand_in";

/// The session setting that `pg_last_copy_count()` reads; a rollback takes it back with the rows.
pub const COPY_COUNT_SETTING: &str = "redshift_stand_in.last_copy_count";

const INSTALL: &str = "
SELECT pg_advisory_xact_lock(hashtext('redshift_stand_in'));
CREATE SCHEMA IF NOT EXISTS redshift_stand_in;
CREATE TABLE IF NOT EXISTS redshift_stand_in.sys_load_history (
    query_id bigint, session_id bigint, database_name varchar(128), status varchar(10), table_name varchar(128),
    start_time timestamp, end_time timestamp, duration bigint, data_source varchar(4096), file_format varchar(16),
    loaded_rows bigint, loaded_bytes bigint, source_file_count bigint, source_file_bytes bigint
);
CREATE OR REPLACE FUNCTION redshift_stand_in.pg_last_copy_count() RETURNS bigint LANGUAGE sql STABLE AS
    $$ SELECT coalesce(nullif(current_setting('redshift_stand_in.last_copy_count', true), '')::bigint, 0) $$;
CREATE OR REPLACE FUNCTION redshift_stand_in.getdate() RETURNS timestamp LANGUAGE sql STABLE AS
    $$ SELECT now() AT TIME ZONE 'UTC' $$;
CREATE OR REPLACE VIEW redshift_stand_in.svv_tables AS
    SELECT table_catalog, table_schema, table_name, table_type FROM information_schema.tables
    WHERE table_schema <> 'redshift_stand_in';
CREATE OR REPLACE VIEW redshift_stand_in.svv_columns AS
    SELECT table_catalog, table_schema, table_name, column_name, ordinal_position, column_default, is_nullable, data_type,
        character_maximum_length, numeric_precision, numeric_scale, datetime_precision
    FROM information_schema.columns WHERE table_schema <> 'redshift_stand_in';
GRANT USAGE ON SCHEMA redshift_stand_in TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA redshift_stand_in TO PUBLIC;
GRANT INSERT ON redshift_stand_in.sys_load_history TO PUBLIC;
";

/// Idempotent; several stand-ins may do it at once.
pub async fn install(client: &Client) -> Result<(), tokio_postgres::Error> {
    client.batch_execute(&format!("BEGIN; {INSTALL} COMMIT")).await
}
