# Where the state files of all environments lie: versioned, encrypted, and locked while somebody changes them.

locals {
  table_lock = contains(["DynamoDB", "Both"], var.lock)
  file_lock  = contains(["S3", "Both"], var.lock)

  backend_config = join("\n", concat(
    [
      "bucket     = \"${module.state.name}\"",
      "region     = \"${data.aws_region.current.region}\"",
      "kms_key_id = \"${module.key.arn}\"",
      "encrypt    = true",
    ],
    local.file_lock ? ["use_lockfile = true"] : [],
    local.table_lock ? ["dynamodb_table = \"${aws_dynamodb_table.lock[0].name}\""] : [],
    [""],
  ))
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

module "key" {
  source = "../kms_key"

  name        = "${var.bucket_name}-state"
  description = "State files in ${var.bucket_name}"
  services    = ["s3", "dynamodb"]
}

module "logs" {
  source = "../s3_bucket"

  name             = "${var.bucket_name}-log"
  for_log_delivery = true
  expire_days      = 365
  policy_statements = jsonencode([{
    Sid       = "AccessLogs"
    Effect    = "Allow"
    Principal = { Service = "logging.s3.amazonaws.com" }
    Action    = "s3:PutObject"
    Resource  = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}-log/${var.bucket_name}/*"
    Condition = {
      ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:s3:::${var.bucket_name}" }
      StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
    }
  }])
}

module "state" {
  source = "../s3_bucket"

  name              = var.bucket_name
  kms_key_arn       = module.key.arn
  access_log_bucket = module.logs.name
  noncurrent_days   = var.noncurrent_days
}

resource "aws_dynamodb_table" "lock" {
  #checkov:skip=CKV2_AWS_16:a lock is written a few times a day; on demand has nothing to scale
  count = local.table_lock ? 1 : 0

  name                        = "${var.bucket_name}-lock"
  billing_mode                = "PAY_PER_REQUEST"
  hash_key                    = "LockID"
  deletion_protection_enabled = true

  attribute {
    name = "LockID"
    type = "S"
  }

  point_in_time_recovery {
    enabled = true
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = module.key.arn
  }
}
