output "alarms" {
  description = "Name of each alarm in CloudWatch, by the name of its page in docs/alarms.md and, where there are several, what it is about."
  value       = merge({ for alarm, found in aws_cloudwatch_metric_alarm.simple : alarm => found.alarm_name }, local.other_alarm_names)
}

output "pages" {
  description = "Pages of docs/alarms.md that alarms point at."
  value       = sort(local.pages)
}

output "own_metrics" {
  description = "Metrics of the product that alarms and dashboard ask for; each must be emitted by a worker, or made of its log lines."
  value       = local.own_metrics
}

output "log_groups" {
  description = "Where Fluent Bit or the CloudWatch agent sends logs: of the workers, and of the operator; and the lines that are metrics."
  value       = { for source, group in aws_cloudwatch_log_group.this : source => group.name }
}

output "dashboard" {
  description = "Name of the dashboard."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "agent_metrics" {
  description = "The part `emf_processor` of the CloudWatch agent's configuration for Prometheus (docs/alarms.md), as JSON: which metrics it brings here, under which dimensions."
  value = jsonencode({
    metric_namespace = local.own_namespace
    metric_declaration = [{
      source_labels    = ["pipeline"]
      label_matcher    = "^.+$"
      dimensions       = [keys(local.stage["bronze"])]
      metric_selectors = [for metric in values(local.own_metrics) : "^${metric}$"]
    }]
  })
}

output "agent_role_arn" {
  description = "Role of the agent that sends logs and metrics; null where others give it one."
  value       = one(aws_iam_role.agent[*].arn)

  # An agent that starts before its role is whole is refused.
  depends_on = [aws_iam_role_policy.agent, aws_eks_pod_identity_association.agent]
}
