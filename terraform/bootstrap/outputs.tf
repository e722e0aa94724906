output "backend_config" {
  description = "`output -raw backend_config > ../environments/backend.hcl`: what each environment's init takes."
  value       = module.backend.backend_config
}

output "bucket" {
  description = "Bucket of the state files."
  value       = module.backend.bucket
}
