# What people and Power BI may: ask in this workgroup, of this database, and read. Attached to roles by those who have them.
resource "aws_iam_policy" "reader" {
  name        = "${var.name}-athena-reader"
  description = "Queries on Gold in the workgroup ${var.name}, read alone"

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "Query"
        Effect = "Allow"
        Action = [
          "athena:BatchGetQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults", "athena:GetQueryResultsStream",
          "athena:GetWorkGroup", "athena:ListQueryExecutions", "athena:StartQueryExecution", "athena:StopQueryExecution",
        ]
        Resource = [aws_athena_workgroup.this.arn]
      },
      {
        # What drivers show before a query is written.
        Sid      = "Browse"
        Effect   = "Allow"
        Action   = ["athena:GetDataCatalog", "athena:GetDatabase", "athena:GetTableMetadata", "athena:ListDatabases", "athena:ListTableMetadata"]
        Resource = ["arn:${local.partition}:athena:${local.region}:${local.account}:datacatalog/AwsDataCatalog"]
      },
      {
        Sid      = "Database"
        Effect   = "Allow"
        Action   = ["glue:GetDatabase"]
        Resource = ["arn:${local.partition}:glue:${local.region}:${local.account}:catalog", aws_glue_catalog_database.gold.arn]
      },
      {
        Sid    = "Tables"
        Effect = "Allow"
        Action = ["glue:GetTable", "glue:GetTables"]
        Resource = [
          "arn:${local.partition}:glue:${local.region}:${local.account}:catalog",
          aws_glue_catalog_database.gold.arn,
          "arn:${local.partition}:glue:${local.region}:${local.account}:table/${var.database}/*",
        ]
      },
      { Sid = "ListGold", Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket"], Resource = [var.gold.bucket_arn] },
      { Sid = "ReadGold", Effect = "Allow", Action = ["s3:GetObject"], Resource = ["${var.gold.bucket_arn}/*"] },
      { Sid = "ListResults", Effect = "Allow", Action = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"], Resource = [module.results.arn] },
      {
        Sid      = "KeepResults"
        Effect   = "Allow"
        Action   = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:ListMultipartUploadParts", "s3:PutObject"]
        Resource = ["${module.results.arn}/results/*"]
      },
      {
        Sid       = "GoldKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = [var.gold.kms_key_arn]
        Condition = { StringEquals = { "kms:ViaService" = "s3.${local.hosts}" } }
      },
      {
        Sid       = "ResultsKey"
        Effect    = "Allow"
        Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
        Resource  = [module.key.arn]
        Condition = { StringEquals = { "kms:ViaService" = ["athena.${local.hosts}", "s3.${local.hosts}"] } }
      },
    ]
  })
}
