output "registry" {
  description = "Host of the registry with the prefix, as Helm's image.registry wants it."
  value       = local.registry
}

output "urls" {
  description = "Address of each repository, by name, without a tag."
  value       = { for name in var.repositories : name => "${local.registry}/${name}" }
}

output "arns" {
  description = "ARN of each repository, by name."
  value       = { for name, repository in aws_ecr_repository.this : name => repository.arn }
}
