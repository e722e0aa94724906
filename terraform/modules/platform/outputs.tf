# The one output that others read: `medallion from-terraform` makes Helm values and the Pipeline's manifest of it. A field that is renamed
# or removed is a new schema_version. As JSON, with what may be null:
#
#   schema_version  1
#   name            "shop-dev"
#   environment     "dev" | "staging" | "prod"
#   partition       "aws" | "aws-cn" | "aws-us-gov" | ...
#   region, account
#   cluster         {name, endpoint, namespace}
#   pipeline        {name, namespace}
#   kafka           {type: "Serverless" | "Provisioned", cluster_arn, bootstrap_servers: [host:port], authentication: "MskIam", tls: true,
#                    topic, dead_letter_topic, partitions, replication_factor: 3 | null (MSK Serverless decides)}
#   table           {name, arn, stream_arn, ttl_attribute | null, expire_days | null}
#   lake            {bronze, silver, gold, kms_key_arn}
#   warehouse       null | {type: "Serverless" | "Cluster", workgroup_name | null, cluster_identifier | null, database, schema, copy_role_arn,
#                    loader_user}
#   catalog         null | {type: "Glue", database, workgroup, results_bucket}
#   identities      {WORKER: {service_account, role_arn, mode: "PodIdentity" | "Irsa"}}: provisioner, gateway unless it is a function, consumer,
#                    exporter, dbt-runner, loader if there is a warehouse
#   images          {registry: host/prefix, repositories: {medallion: url, dbt-purchases: url}, dbt_project}
#   alerts          {sns_topic_arn}
#   endpoints       {SERVICE: host}: interface endpoints that must be asked by a host of their own
#   lambda          null | {gateway: null | {function_name, role_arn, url}, exporter: null | {function_name, role_arn}}
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

    warehouse = var.warehouse == null ? null : {
      type               = module.warehouse[0].type
      workgroup_name     = module.warehouse[0].workgroup_name
      cluster_identifier = module.warehouse[0].cluster_identifier
      database           = module.warehouse[0].database
      schema             = module.warehouse[0].schema
      copy_role_arn      = module.warehouse[0].copy_role_arn
      loader_user        = module.roles.database_users["loader"]
    }

    catalog = var.catalog == null ? null : {
      type           = "Glue"
      database       = module.catalog[0].database
      workgroup      = module.catalog[0].workgroup
      results_bucket = module.catalog[0].results_bucket
    }

    identities = module.roles.identities

    images = {
      registry     = module.ecr.registry
      repositories = module.ecr.urls
      dbt_project  = var.pipeline.dbt_project
    }

    alerts = {
      sns_topic_arn = module.notifications.topic_arn
    }

    endpoints = module.network.endpoint_hosts

    lambda = local.functions ? {
      gateway  = module.functions[0].gateway
      exporter = module.functions[0].exporter
    } : null
  }
}

output "warehouse_setup" {
  description = "For a new warehouse, once: statements for the administrator, and the secret with the administrator's password."
  value = var.warehouse == null ? null : {
    sql        = module.warehouse[0].setup_sql
    secret_arn = module.warehouse[0].admin_secret_arn
  }
}

output "policies" {
  description = "Policies as they stand, for those who check who may do what: by worker, function, bucket, and of the topic."
  value = {
    workers   = module.roles.policies
    trust     = module.roles.trust_policies
    functions = local.functions ? module.functions[0].policies : {}
    buckets   = module.lake.policies
    topic     = module.notifications.policy
    copy      = var.warehouse == null ? null : module.warehouse[0].copy_policy
    reader    = var.catalog == null ? null : module.catalog[0].reader_policy
  }
}

output "alarms" {
  description = "Name of each alarm in CloudWatch, by its page in docs/alarms.md."
  value       = module.monitoring.alarms
}
