output "topic_arn" {
  description = "The topic that alarms and messages go to."
  value       = aws_sns_topic.alerts.arn

  # An alarm that fires before the policy stands is not heard.
  depends_on = [aws_sns_topic_policy.alerts]
}

output "topic_name" {
  description = "Name of the topic."
  value       = aws_sns_topic.alerts.name
}

output "kms_key_arn" {
  description = "Key that encrypts the messages."
  value       = module.key.arn
}

output "policy" {
  description = "Policy of the topic, as JSON."
  value       = aws_sns_topic_policy.alerts.policy
}
