# Gold read where it lies: the catalog's database that the Pipeline registers its tables in, and a workgroup that bounds what a query
# reads and where its result goes.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  hosts     = "${local.region}.${data.aws_partition.current.dns_suffix}"
}

resource "aws_glue_catalog_database" "gold" {
  name        = var.database
  description = "Gold of ${var.name}; its tables are the Pipeline's"
}

module "key" {
  source = "../kms_key"

  name        = "${var.name}-athena"
  description = "Results of queries in the workgroup ${var.name}"
  services    = ["athena", "s3"]
}

module "results" {
  source = "../s3_bucket"

  name               = "${var.name}-athena-${var.result_bucket_suffix}"
  kms_key_arn        = module.key.arn
  access_log_bucket  = var.access_log_bucket
  force_destroy      = var.force_destroy
  expire_days        = var.result_days
  noncurrent_days    = 7
  abort_uploads_days = 1
}

resource "aws_athena_workgroup" "this" {
  name          = var.name
  description   = "Queries on Gold, ${floor(var.bytes_limit / 1073741824)} GiB each at most"
  force_destroy = var.force_destroy

  configuration {
    # What a client says of results and encryption does not count.
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    bytes_scanned_cutoff_per_query     = var.bytes_limit

    engine_version {
      selected_engine_version = "Athena engine version 3"
    }

    result_configuration {
      output_location       = "s3://${module.results.name}/results/"
      expected_bucket_owner = local.account

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = module.key.arn
      }
    }
  }
}
