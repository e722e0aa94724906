# One environment: all modules, each told what it must know of the others.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  name              = "${var.name}-${var.environment}"
  account           = data.aws_caller_identity.current.account_id
  dead_letter_topic = "dlq.${var.pipeline.topic}"
  ttl_attribute     = var.table.expire_days == null ? null : "expires_at"
  functions         = var.functions != null
}

module "network" {
  source = "../network"

  name                = local.name
  existing            = var.network.existing
  cidr_block          = var.network.cidr_block
  availability_zones  = var.network.availability_zones
  nat_gateways        = var.network.nat_gateways
  gateway_endpoints   = var.network.gateway_endpoints
  interface_endpoints = var.network.interface_endpoints
  flow_log_days       = var.log_retention_days
}

module "eks" {
  source = "../eks"

  name                = local.name
  existing            = var.cluster.existing
  kubernetes_version  = var.cluster.kubernetes_version
  subnet_ids          = module.network.private_subnet_ids
  public_access_cidrs = var.cluster.public_access_cidrs
  admin_role_arns     = var.cluster.admin_role_arns
  nodes               = var.cluster.nodes
  irsa                = var.cluster.identities == "Irsa"
  log_retention_days  = var.log_retention_days
  deletion_protection = !var.disposable
}

module "ecr" {
  source = "../ecr"

  prefix       = local.name
  repositories = ["medallion", "dbt-${var.pipeline.dbt_project}"]
  force_delete = var.disposable
}

module "kafka" {
  source = "../kafka_infra"

  name       = local.name
  type       = var.kafka.type
  vpc_id     = module.network.vpc_id
  subnet_ids = module.network.private_subnet_ids
  client_security_group_ids = merge(
    { nodes = module.eks.security_group_id },
    local.functions ? { functions = module.functions[0].security_group_id } : {},
  )
  broker             = var.kafka.broker
  log_retention_days = var.log_retention_days
}

module "table" {
  source = "../dynamodb_table"

  name                = "${local.name}-${var.table.name}"
  key_name            = "${local.name}-table"
  capacity            = var.table.capacity
  ttl_attribute       = local.ttl_attribute
  deletion_protection = !var.disposable
}

module "lake" {
  source = "../s3_buckets"

  prefix          = local.name
  suffix          = local.account
  noncurrent_days = var.lake.noncurrent_days
  transition      = var.lake.transition
  force_destroy   = var.disposable
}

module "warehouse" {
  source = "../redshift_cluster"
  count  = var.warehouse == null ? 0 : 1

  name                      = local.name
  type                      = var.warehouse.type
  serverless                = var.warehouse.serverless
  cluster                   = var.warehouse.cluster
  database                  = var.warehouse.database
  schema                    = var.warehouse.schema
  usage_limit               = var.warehouse.usage_limit
  vpc_id                    = module.network.vpc_id
  subnet_ids                = module.network.private_subnet_ids
  client_security_group_ids = var.warehouse.client_security_group_ids
  database_users            = module.roles.database_users
  skip_final_snapshot       = var.disposable

  gold = {
    bucket_arn  = module.lake.buckets["gold"].arn
    kms_key_arn = module.lake.kms_key_arn
  }
}

module "catalog" {
  source = "../athena"
  count  = var.catalog == null ? 0 : 1

  name                 = local.name
  database             = "${var.name}_${var.environment}_gold"
  result_bucket_suffix = local.account
  access_log_bucket    = module.lake.access_log_bucket
  bytes_limit          = var.catalog.bytes_limit
  force_destroy        = var.disposable

  gold = {
    bucket_arn  = module.lake.buckets["gold"].arn
    kms_key_arn = module.lake.kms_key_arn
  }
}

module "roles" {
  source = "../iam_roles"

  name              = local.name
  pipeline          = var.pipeline.name
  namespace         = var.pipeline.namespace
  cluster_name      = module.eks.name
  mode              = var.cluster.identities
  oidc_provider_arn = module.eks.oidc_provider_arn
  gateway_on_lambda = local.functions && try(var.functions.gateway, null) != null

  # Topics have no other maker; table and buckets are here already.
  provisioner_creates = ["topics"]

  kafka = {
    cluster_arn       = module.kafka.cluster_arn
    topic             = var.pipeline.topic
    dead_letter_topic = local.dead_letter_topic
  }

  table = {
    arn         = module.table.arn
    kms_key_arn = module.table.kms_key_arn
  }

  lake = {
    bronze_bucket_arn = module.lake.buckets["bronze"].arn
    silver_bucket_arn = module.lake.buckets["silver"].arn
    gold_bucket_arn   = module.lake.buckets["gold"].arn
    kms_key_arns      = [module.lake.kms_key_arn]
  }

  warehouse = var.warehouse == null ? null : {
    type               = var.warehouse.type
    workgroup_arn      = module.warehouse[0].workgroup_arn
    cluster_identifier = module.warehouse[0].cluster_identifier
    database           = var.warehouse.database
  }

  catalog = var.catalog == null ? null : {
    database = module.catalog[0].database
  }
}

module "functions" {
  source = "../gateway_lambda"
  count  = local.functions ? 1 : 0

  name               = local.name
  architecture       = var.functions.architecture
  gateway            = var.functions.gateway
  environment        = var.functions.environment
  log_retention_days = var.log_retention_days

  vpc = {
    id         = module.network.vpc_id
    cidr_block = module.network.cidr_block
    subnet_ids = module.network.private_subnet_ids
  }

  kafka = {
    cluster_arn = module.kafka.cluster_arn
    topic       = var.pipeline.topic
  }

  exporter = var.functions.exporter == null ? null : merge(var.functions.exporter, {
    table_arn         = module.table.arn
    stream_arn        = module.table.stream_arn
    bronze_bucket_arn = module.lake.buckets["bronze"].arn
    kms_key_arns      = [module.table.kms_key_arn, module.lake.kms_key_arn]
  })
}

module "notifications" {
  source = "../notifications"

  name   = local.name
  emails = var.alerts.emails
}

module "monitoring" {
  source = "../monitoring"

  name                = local.name
  pipeline            = var.pipeline.name
  namespace           = var.pipeline.namespace
  topic_arn           = module.notifications.topic_arn
  alarm_pages         = var.alerts.alarm_pages
  limits              = var.alerts.limits
  table_name          = module.table.name
  functions           = local.functions ? { gateway = module.functions[0].gateway, exporter = module.functions[0].exporter } : {}
  function_log_groups = local.functions ? module.functions[0].log_group_names : {}
  log_retention_days  = var.log_retention_days

  agent = {
    cluster_name      = module.eks.name
    oidc_provider_arn = var.cluster.identities == "Irsa" ? module.eks.oidc_provider_arn : null
  }

  kafka = {
    type         = module.kafka.type
    cluster_name = module.kafka.cluster_name
    topic        = var.pipeline.topic
  }

  warehouse = var.warehouse == null ? null : {
    type               = module.warehouse[0].type
    workgroup_name     = module.warehouse[0].workgroup_name
    cluster_identifier = module.warehouse[0].cluster_identifier
    usage_limit_id     = module.warehouse[0].usage_limit_id
    usage_limit_amount = module.warehouse[0].usage_limit_amount
  }
}
