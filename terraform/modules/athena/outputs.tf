output "database" {
  description = "Database of the Glue catalog."
  value       = aws_glue_catalog_database.gold.name
}

output "workgroup" {
  description = "Name of the workgroup: queries outside of it have no limit and no place for results."
  value       = aws_athena_workgroup.this.name
}

output "results_bucket" {
  description = "Bucket of the results."
  value       = module.results.name
}

output "reader_policy_arn" {
  description = "Policy for people and Power BI: queries in the workgroup, on Gold, read alone."
  value       = aws_iam_policy.reader.arn
}

output "reader_policy" {
  description = "The same, as JSON."
  value       = aws_iam_policy.reader.policy
}
