# What the administrator says once to a new warehouse. Not by Terraform: the resource for it forgets a statement when Redshift does, after
# a day, and would run it again (docs/decisions). With these the provisioner needs no more than a look; tables are the loader's own.
locals {
  loader_sql = [
    for user in [lookup(var.database_users, "loader", null)] : [
      "CREATE USER \"${user}\" PASSWORD DISABLE",
      "GRANT USAGE, CREATE ON SCHEMA \"${var.schema}\" TO \"${user}\"",
      # Of tables that the loader is yet to make, those of the pipeline itself among them.
      "ALTER DEFAULT PRIVILEGES FOR USER \"${user}\" IN SCHEMA \"${var.schema}\" GRANT SELECT ON TABLES TO ROLE ${var.reader_role}",
    ] if user != null
  ]

  provisioner_sql = [
    for user in [lookup(var.database_users, "provisioner", null)] : [
      "CREATE USER \"${user}\" PASSWORD DISABLE",
      "GRANT USAGE ON SCHEMA \"${var.schema}\" TO \"${user}\"",
    ] if user != null
  ]

  setup_sql = flatten([
    # Everybody may make tables in it otherwise, readers too.
    "REVOKE CREATE ON SCHEMA public FROM PUBLIC",
    "CREATE SCHEMA IF NOT EXISTS \"${var.schema}\"",
    "CREATE ROLE ${var.reader_role}",
    "GRANT USAGE ON SCHEMA \"${var.schema}\" TO ROLE ${var.reader_role}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA \"${var.schema}\" TO ROLE ${var.reader_role}",
    local.loader_sql,
    local.provisioner_sql,
  ])
}
