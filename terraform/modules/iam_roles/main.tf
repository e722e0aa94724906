# One role a worker, trusted for its own service account alone. The operator has none: it speaks to Kubernetes only.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region
  # What hosts of services end with, as kms:ViaService names them.
  hosts = "${local.region}.${data.aws_partition.current.dns_suffix}"

  workers = toset(concat(
    ["provisioner", "consumer", "exporter", "dbt-runner"],
    var.kafka != null && !var.gateway_on_lambda ? ["gateway"] : [],
    var.warehouse != null ? ["loader"] : [],
    var.catalog != null ? ["cataloger"] : [],
  ))
  service_accounts = { for worker in local.workers : worker => lookup(var.service_accounts, worker, "${var.pipeline}-${worker}") }

  statements = {
    provisioner = concat(local.kafka_statements.provisioner, local.table_statements.provisioner, local.lake_statements.provisioner, local.warehouse_statements.provisioner)
    gateway     = local.kafka_statements.gateway
    consumer    = concat(local.kafka_statements.consumer, local.table_statements.consumer)
    exporter    = concat(local.table_statements.exporter, local.lake_statements.exporter)
    dbt-runner  = local.lake_statements.dbt-runner
    loader      = concat(local.lake_statements.loader, local.warehouse_statements.loader)
    cataloger   = local.catalog_statements.cataloger
  }
}

resource "aws_iam_role" "worker" {
  for_each = local.workers

  name                 = "${var.name}-${each.key}"
  description          = "${each.key} of the pipeline ${var.namespace}/${var.pipeline}"
  assume_role_policy   = local.trust[each.key]
  max_session_duration = 3600
}

resource "aws_iam_role_policy" "worker" {
  for_each = local.workers

  name = "work"
  role = aws_iam_role.worker[each.key].name

  policy = jsonencode({
    Version   = "2012-10-17"
    Statement = local.statements[each.key]
  })
}

resource "aws_eks_pod_identity_association" "worker" {
  for_each = var.mode == "PodIdentity" ? local.workers : toset([])

  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = local.service_accounts[each.key]
  role_arn        = aws_iam_role.worker[each.key].arn
}
