output "name" {
  description = "Name of the table."
  value       = aws_dynamodb_table.this.name
}

output "arn" {
  description = "ARN of the table."
  value       = aws_dynamodb_table.this.arn
}

output "stream_arn" {
  description = "ARN of the table's stream. A stream that is switched off and on again is another one."
  value       = aws_dynamodb_table.this.stream_arn
}

output "kms_key_arn" {
  description = "Key that encrypts the table and its stream."
  value       = module.key.arn
}
