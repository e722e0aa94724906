output "medallion" {
  description = "Everything that the Helm values and the Pipeline of this environment are made of; its shape stands in modules/platform/outputs.tf."
  value       = module.platform.medallion
}

output "warehouse_setup" {
  description = "For a new warehouse, once: statements for the administrator, and the secret with the administrator's password (docs/aws.md)."
  value       = module.platform.warehouse_setup
}

output "policies" {
  description = "Policies as they stand, for those who check who may do what."
  value       = module.platform.policies
}

output "alarms" {
  description = "Name of each alarm in CloudWatch, by its page in docs/alarms.md."
  value       = module.platform.alarms
}
