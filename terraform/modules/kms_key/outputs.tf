output "arn" {
  description = "ARN of the key."
  value       = aws_kms_key.this.arn

  # Whoever encrypts with the key needs its policy.
  depends_on = [aws_kms_key_policy.this]
}

output "alias" {
  description = "Name of the alias, with `alias/`."
  value       = aws_kms_alias.this.name
}

output "policy" {
  description = "Policy of the key, as it stands there."
  value       = aws_kms_key_policy.this.policy
}
