output "gateway" {
  description = "The gateway's function: function_name, role_arn, and url, to which clients post. Null where it runs in the cluster."
  value = var.gateway == null ? null : {
    function_name = aws_lambda_function.gateway[0].function_name
    role_arn      = aws_iam_role.function["gateway"].arn
    url           = "${aws_apigatewayv2_api.gateway[0].api_endpoint}/v1/events"
    api_id        = aws_apigatewayv2_api.gateway[0].id
  }
}

output "exporter" {
  description = "The function that writes Bronze: function_name, role_arn. Null where the exporter is a pod."
  value = var.exporter == null ? null : {
    function_name = aws_lambda_function.exporter[0].function_name
    role_arn      = aws_iam_role.function["exporter"].arn
  }
}

output "security_group_id" {
  description = "Security group of the functions: who may reach the brokers."
  value       = aws_security_group.functions.id
}

output "log_group_names" {
  description = "Log groups of the functions, by function."
  value       = { for function, group in aws_cloudwatch_log_group.function : function => group.name }
}

output "policies" {
  description = "By function: its rights, as JSON."
  value       = { for function, policy in aws_iam_role_policy.function : function => policy.policy }
}
