output "cluster_arn" {
  description = "ARN of the cluster; those of its topics and groups follow from it."
  value       = local.cluster_arn
}

output "cluster_name" {
  description = "Name of the cluster."
  value       = var.name
}

output "type" {
  description = "Serverless or Provisioned."
  value       = var.type
}

output "bootstrap_servers" {
  description = "Brokers for clients with IAM over TLS, host:port."
  value       = split(",", local.bootstrap)
}

output "replication_factor" {
  description = "Copies of each record that the provisioner asks for; null where MSK Serverless decides."
  value       = local.provisioned ? 3 : null
}

output "security_group_id" {
  description = "Security group of the brokers."
  value       = aws_security_group.brokers.id
}
