output "bucket" {
  description = "Bucket of the state files."
  value       = module.state.name
}

output "kms_key_arn" {
  description = "Key that encrypts the state files."
  value       = module.key.arn
}

output "lock_table" {
  description = "Table of the locks; null with locking by S3 alone."
  value       = local.table_lock ? aws_dynamodb_table.lock[0].name : null
}

output "backend_config" {
  description = "Text of the file that `init -backend-config=FILE` takes."
  value       = local.backend_config
}
