output "buckets" {
  description = "Name and ARN of each layer's bucket, by layer: bronze, silver, gold."
  value       = { for layer, bucket in module.layer : layer => { name = bucket.name, arn = bucket.arn } }
}

output "policies" {
  description = "Policy of each layer's bucket, by layer."
  value       = { for layer, bucket in module.layer : layer => bucket.policy }
}

output "kms_key_arn" {
  description = "Key that encrypts the lake."
  value       = module.key.arn
}

output "access_log_bucket" {
  description = "Bucket with the access logs; further buckets of the environment may log there."
  value       = module.access_logs.name
}
