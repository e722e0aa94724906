# The one output that others read: `medallion from-terraform` makes Helm values and the Pipeline's manifest of it. What an environment
# does not have is null. A field that is renamed or removed is a new schema_version.
output "medallion" {
  description = "Everything that the Helm values and the Pipeline of this environment are made of."

  value = {
    schema_version = 1
    name           = local.name
    environment    = var.environment
    partition      = data.aws_partition.current.partition
    region         = data.aws_region.current.region
    account        = data.aws_caller_identity.current.account_id

    cluster = {
      name      = module.eks.name
      endpoint  = module.eks.endpoint
      namespace = var.pipeline.namespace
    }

    pipeline = {
      name      = var.pipeline.name
      namespace = var.pipeline.namespace
    }

    kafka = {
      type               = module.kafka.type
      cluster_arn        = module.kafka.cluster_arn
      bootstrap_servers  = module.kafka.bootstrap_servers
      authentication     = "MskIam"
      tls                = true
      topic              = var.pipeline.topic
      dead_letter_topic  = local.dead_letter_topic
      partitions         = var.pipeline.partitions
      replication_factor = module.kafka.replication_factor
    }

    table = {
      name          = module.table.name
      arn           = module.table.arn
      stream_arn    = module.table.stream_arn
      ttl_attribute = local.ttl_attribute
      expire_days   = var.table.expire_days
    }

    lake = {
      bronze      = module.lake.buckets["bronze"].name
      silver      = module.lake.buckets["silver"].name
      gold        = module.lake.buckets["gold"].name
      kms_key_arn = module.lake.kms_key_arn
    }

    warehouse = local.warehouse

    catalog = local.catalog

    identities = local.identities

    images = {
      registry     = module.ecr.registry
      repositories = module.ecr.urls
      dbt_project  = var.pipeline.dbt_project
    }

    alerts = {
      sns_topic_arn = module.notifications.topic_arn
    }

    lambda = local.lambda
  }
}
