# The gateway as a function behind an HTTP API, in the place of the gateway's pods.
resource "aws_lambda_function" "gateway" {
  #checkov:skip=CKV_AWS_173:the environment names secrets and holds none
  #checkov:skip=CKV_AWS_50:traces are OpenTelemetry's, sent by the program itself
  #checkov:skip=CKV_AWS_116:an answer is waited for, so what fails is told to the client
  #checkov:skip=CKV_AWS_272:packages are made by the pipeline's owner from a manifest, of a program whose digest is published
  count = var.gateway == null ? 0 : 1

  function_name                  = "${var.name}-gateway"
  description                    = "HTTP to Kafka: success only after the brokers' acknowledgement"
  role                           = aws_iam_role.function["gateway"].arn
  runtime                        = "provided.al2023"
  handler                        = "bootstrap"
  architectures                  = [var.architecture]
  filename                       = var.gateway.package
  source_code_hash               = filebase64sha256(var.gateway.package)
  memory_size                    = var.gateway.memory_mib
  timeout                        = 28
  reserved_concurrent_executions = var.gateway.reserved_concurrency
  layers                         = var.gateway.secrets_extension_arn == null ? [] : [var.gateway.secrets_extension_arn]

  environment {
    variables = merge(var.environment, {
      MEDALLION_SECRETS = join(",", var.gateway.secret_arns)
      RUST_LOG          = var.log_level
    })
  }

  vpc_config {
    subnet_ids         = var.vpc.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }

  # JSON lines are the program's own; Lambda's JSON would wrap them. It writes into the group that is there.
  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["gateway"].name
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_apigatewayv2_api" "gateway" {
  count = var.gateway == null ? 0 : 1

  name          = "${var.name}-gateway"
  description   = "POST /v1/events of ${var.name}"
  protocol_type = "HTTP"
}

resource "aws_apigatewayv2_integration" "gateway" {
  count = var.gateway == null ? 0 : 1

  api_id                 = aws_apigatewayv2_api.gateway[0].id
  integration_type       = "AWS_PROXY"
  integration_method     = "POST"
  integration_uri        = aws_lambda_function.gateway[0].invoke_arn
  payload_format_version = "2.0"
  timeout_milliseconds   = 30000
}

resource "aws_apigatewayv2_route" "events" {
  #checkov:skip=CKV_AWS_309:with NONE the function itself checks the tokens, which a validation demands
  count = var.gateway == null ? 0 : 1

  api_id             = aws_apigatewayv2_api.gateway[0].id
  route_key          = "POST /v1/events"
  authorization_type = var.gateway.authorization
  target             = "integrations/${aws_apigatewayv2_integration.gateway[0].id}"
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_338:how long is a variable
  count = var.gateway == null ? 0 : 1

  name              = "/aws/apigateway/${var.name}"
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key.arn
}

resource "aws_apigatewayv2_stage" "default" {
  count = var.gateway == null ? 0 : 1

  api_id      = aws_apigatewayv2_api.gateway[0].id
  name        = "$default"
  auto_deploy = true

  default_route_settings {
    throttling_rate_limit    = var.gateway.requests_per_second
    throttling_burst_limit   = var.gateway.request_burst
    detailed_metrics_enabled = true
  }

  # Who asked, and how it ended; of the events nothing.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access[0].arn
    format = jsonencode({
      requestId        = "$context.requestId"
      time             = "$context.requestTime"
      sourceIp         = "$context.identity.sourceIp"
      route            = "$context.routeKey"
      status           = "$context.status"
      responseBytes    = "$context.responseLength"
      latencyMs        = "$context.responseLatency"
      integrationError = "$context.integrationErrorMessage"
    })
  }
}

resource "aws_lambda_permission" "api" {
  count = var.gateway == null ? 0 : 1

  statement_id  = "HttpApi"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.gateway[0].function_name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_apigatewayv2_api.gateway[0].execution_arn}/*/POST/v1/events"
}
