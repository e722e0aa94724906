# The lake: a bucket for each layer, the key that encrypts them, and the bucket of their access logs.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  layers = ["bronze", "silver", "gold"]
  names  = { for part in concat(local.layers, ["logs"]) : part => join("-", compact([var.prefix, part, var.suffix])) }

  # Log delivery writes for the buckets of this environment, wherever they are called from.
  log_delivery = [{
    Sid       = "AccessLogs"
    Effect    = "Allow"
    Principal = { Service = "logging.s3.amazonaws.com" }
    Action    = "s3:PutObject"
    Resource  = "arn:${data.aws_partition.current.partition}:s3:::${local.names.logs}/${var.prefix}-*"
    Condition = {
      ArnLike      = { "aws:SourceArn" = "arn:${data.aws_partition.current.partition}:s3:::${var.prefix}-*" }
      StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id }
    }
  }]
}

module "key" {
  source = "../kms_key"

  name        = "${var.prefix}-lake"
  description = "Lake of ${var.prefix}: Bronze, Silver, Gold"
  services    = ["s3"]
}

module "access_logs" {
  source = "../s3_bucket"

  name              = local.names.logs
  for_log_delivery  = true
  expire_days       = var.access_log_days
  force_destroy     = var.force_destroy
  policy_statements = jsonencode(local.log_delivery)
}

module "layer" {
  source   = "../s3_bucket"
  for_each = toset(local.layers)

  name              = local.names[each.key]
  kms_key_arn       = module.key.arn
  access_log_bucket = module.access_logs.name
  protect_delta_log = true
  noncurrent_days   = var.noncurrent_days
  transition        = var.transition
  force_destroy     = var.force_destroy
}
