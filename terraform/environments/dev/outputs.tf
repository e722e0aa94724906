# The shape, field by field, stands in ../../modules/platform/outputs.tf. As JSON (`output -json medallion`), with what may be null:
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
#   warehouse       null | {type: "Serverless" | "Cluster", workgroup_name | null, cluster_identifier | null, database, schema, copy_role_arn}
#   catalog         null | {type: "Glue", database, workgroup, results_bucket}
#   identities      {provisioner | gateway | consumer | exporter | dbt-runner | loader | notifier | janitor:
#                    {service_account, role_arn, mode: "PodIdentity" | "Irsa"}}
#   images          {registry: host/prefix, repositories: {medallion: url, dbt-purchases: url}, dbt_project}
#   alerts          {sns_topic_arn}
#   lambda          null | {gateway: null | {function_name, role_arn, url}, exporter: null | {function_name, role_arn}}
output "medallion" {
  description = "Everything that the Helm values and the Pipeline of this environment are made of."
  value       = module.platform.medallion
}
