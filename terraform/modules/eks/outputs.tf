output "name" {
  description = "Name of the cluster."
  value       = local.name

  # Pods get no identity before the agent is there.
  depends_on = [aws_eks_addon.this]
}

output "endpoint" {
  description = "Address of the API server."
  value       = local.endpoint
}

output "security_group_id" {
  description = "Security group of nodes and control plane: who reaches brokers and warehouse."
  value       = local.security_group_id
}

output "oidc_provider_arn" {
  description = "IAM OIDC provider of the cluster, for IRSA; null without one."
  value       = local.oidc_provider_arn
}

output "oidc_issuer" {
  description = "Host and path of the issuer of service account tokens, without https://; null without an OIDC provider."
  value       = local.oidc_issuer
}
