# What a person is told of, and where it can be read: logs, what is counted in them, alarms, one dashboard. Alarms stand in alarms.tf (the
# product's own signals), aws.tf (those of AWS's services) and special.tf (shares and bands).
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  # Workers and operator emit these for Prometheus; the CloudWatch agent brings them here under the same names. A test reads this list.
  own_metrics = {
    age            = "medallion_operator_stage_age_seconds"
    retention_used = "medallion_retention_used_seconds"
    retention_of   = "medallion_retention_of_seconds"
    consumer_lag   = "medallion_consumer_lag_records"
    dead_letters   = "medallion_consumer_dead_letters"
    stream_records = "medallion_exporter_records_total"
  }
  own_namespace = "Medallion"

  # Of each stage the same three dimensions, in this order everywhere.
  stage = {
    for stage in ["persist", "bronze", "silver", "gold", "warehouse"] : stage => {
      namespace = var.namespace
      pipeline  = var.pipeline
      stage     = stage
    }
  }

  # Headings of docs/alarms.md. A test holds that page against this list.
  pages = toset([
    "ApiErrors", "ConsumerLag", "CriticalErrors", "DataAtRisk", "DeadLetterDepth", "EventRate", "FailedLoads", "FailedRuns", "FunctionErrors",
    "FunctionThrottles", "IteratorAge", "KafkaDisk", "KafkaInSyncReplicas", "KafkaIngress", "KafkaOffline", "RetentionUsed", "StageAge",
    "StreamViewLag", "ThrottledReads", "ThrottledWrites", "WarehouseDisk", "WarehouseHealth", "WarehouseQueue", "WarehouseUsage",
  ])

  # Counted in log lines.
  log_namespace = "${local.own_namespace}/${var.name}"
}

module "key" {
  source = "../kms_key"

  name        = "${var.name}-logs"
  description = "Logs of the workers and the operator of ${var.name}"
  services    = ["logs"]
  service_principals = [
    {
      principal = "logs.${local.region}.${data.aws_partition.current.dns_suffix}"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      conditions = {
        ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:/medallion/${var.name}/*"]
        }
      }
    },
  ]
}
