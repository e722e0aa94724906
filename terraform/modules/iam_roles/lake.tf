# What workers do in the buckets. Nobody may delete.
#
# s3:ListBucket has no condition on prefixes: without it S3 answers 403 for an object that is not there, instead of the 404 by which workers
# know that a log ends, and a read has no prefix that a condition could look at.
locals {
  bronze = var.lake.bronze_bucket_arn
  silver = var.lake.silver_bucket_arn
  gold   = var.lake.gold_bucket_arn
  # The Bronze table is called as the DynamoDB table.
  bronze_table = "${local.bronze}/${local.table_name}/*"

  lake_key = {
    for use, actions in { read = ["kms:Decrypt"], write = ["kms:Decrypt", "kms:GenerateDataKey"] } : use => [
      for keys in length(var.lake.kms_key_arns) == 0 ? [] : [sort(var.lake.kms_key_arns)] : {
        Sid       = "LakeKey"
        Effect    = "Allow"
        Action    = actions
        Resource  = keys
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.hosts}" } }
      }
    ]
  }

  lake_statements = {
    provisioner = concat(
      [
        # Listing is also what asking for a bucket takes, and how the layers' tables are found.
        {
          Sid      = "Buckets"
          Effect   = "Allow"
          Action   = concat(["s3:ListBucket"], contains(var.provisioner_creates, "buckets") ? ["s3:CreateBucket"] : [])
          Resource = [local.bronze, local.silver, local.gold]
        },
        # Whose the tables are, and which contract Bronze goes on from, stands in their logs.
        {
          Sid      = "Logs"
          Effect   = "Allow"
          Action   = ["s3:GetObject"]
          Resource = ["${local.bronze}/${local.table_name}/_delta_log/*", "${local.silver}/*/_delta_log/*", "${local.gold}/*/_delta_log/*"]
        },
      ],
      local.lake_key.read,
    )
    exporter = concat(
      [
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bronze] },
        # Parts of an upload that fails are dropped at once: they are paid for as long as they are there.
        { Sid = "Bronze", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], Resource = [local.bronze_table] },
      ],
      local.lake_key.write,
    )
    dbt-runner = concat(
      [
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.bronze, local.silver, local.gold] },
        { Sid = "Bronze", Effect = "Allow", Action = ["s3:GetObject"], Resource = [local.bronze_table] },
        { Sid = "Layers", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], Resource = ["${local.silver}/*", "${local.gold}/*"] },
      ],
      local.lake_key.write,
    )
    loader = concat(
      [
        { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.gold] },
        { Sid = "Gold", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${local.gold}/*"] },
        { Sid = "Manifests", Effect = "Allow", Action = ["s3:PutObject"], Resource = ["${local.gold}/_runs/*"] },
      ],
      local.lake_key.write,
    )
  }
}
