# What the cataloger does in the Glue catalog: it looks, makes and changes tables of the named databases, and deletes nothing. Glue asks for
# each call of a table for the right on its database and on the catalog too.
locals {
  catalog_databases = var.catalog == null ? [] : compact([var.catalog.database, var.catalog.silver_database])
  catalog_prefix    = "arn:${local.partition}:glue:${local.region}:${local.account}"
  catalog_layers    = var.catalog == null ? [] : concat([local.gold], var.catalog.silver_database == null ? [] : [local.silver])

  catalog_statements = {
    cataloger = concat(
      [
        {
          Sid      = "Databases"
          Effect   = "Allow"
          Action   = ["glue:GetDatabase"]
          Resource = concat(["${local.catalog_prefix}:catalog"], [for database in local.catalog_databases : "${local.catalog_prefix}:database/${database}"])
        },
        {
          Sid    = "Tables"
          Effect = "Allow"
          Action = ["glue:CreateTable", "glue:GetTable", "glue:UpdateTable"]
          Resource = concat(
            ["${local.catalog_prefix}:catalog"],
            flatten([for database in local.catalog_databases : ["${local.catalog_prefix}:database/${database}", "${local.catalog_prefix}:table/${database}/*"]]),
          )
        },
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = local.catalog_layers },
        # Columns stand in the logs; no row is read.
        { Sid = "Logs", Effect = "Allow", Action = ["s3:GetObject"], Resource = [for layer in local.catalog_layers : "${layer}/*/_delta_log/*"] },
      ],
      local.lake_key.read,
    )
  }
}
