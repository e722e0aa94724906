output "type" {
  description = "Serverless or Cluster."
  value       = var.type
}

output "workgroup_name" {
  description = "Workgroup, as in `spec.warehouse.redshift.workgroupName`; null for a cluster."
  value       = one(aws_redshiftserverless_workgroup.this[*].workgroup_name)
}

output "workgroup_arn" {
  description = "ARN of the workgroup; null for a cluster."
  value       = one(aws_redshiftserverless_workgroup.this[*].arn)
}

output "cluster_identifier" {
  description = "Cluster, as in `spec.warehouse.redshift.clusterIdentifier`; null for Serverless."
  value       = one(aws_redshift_cluster.this[*].cluster_identifier)
}

output "database" {
  description = "Database."
  value       = var.database
}

output "schema" {
  description = "Schema of Gold."
  value       = var.schema
}

output "copy_role_arn" {
  description = "Role that COPY reads Gold with, as in `spec.warehouse.redshift.copyRoleArn`."
  value       = aws_iam_role.copy.arn

  # The first COPY comes with the first load.
  depends_on = [aws_iam_role_policy.copy]
}

output "copy_policy" {
  description = "Rights of that role, as JSON."
  value       = aws_iam_role_policy.copy.policy
}

output "admin_secret_arn" {
  description = "Secret with the administrator's password, which Redshift itself makes and renews."
  value       = one(concat(aws_redshiftserverless_namespace.this[*].admin_password_secret_arn, aws_redshift_cluster.this[*].master_password_secret_arn))
}

output "security_group_id" {
  description = "Security group of the warehouse."
  value       = aws_security_group.this.id
}

output "usage_limit_id" {
  description = "Id of the usage limit, as in the dimensions of its metrics."
  value       = one(concat(aws_redshiftserverless_usage_limit.this[*].id, aws_redshift_usage_limit.this[*].id))
}

output "usage_limit_amount" {
  description = "RPU-hours, or minutes of concurrency scaling, of a period."
  value       = var.usage_limit.amount
}

output "setup_sql" {
  description = "Statements for the administrator, once for a new warehouse: users, schema, grants (docs/aws.md has the command)."
  value       = local.setup_sql
}
