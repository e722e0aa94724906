# The exporter as a function on the table's stream, in the place of the exporter's pod. Each setting of the mapping has its reason in
# docs/lambda-bronze.md; another value leaves gaps or refuses every batch.
resource "aws_lambda_function" "exporter" {
  #checkov:skip=CKV_AWS_173:the environment names secrets and holds none
  #checkov:skip=CKV_AWS_50:traces are OpenTelemetry's, sent by the program itself
  #checkov:skip=CKV_AWS_115:a shard is read by one invocation at a time, so the shards bound it
  #checkov:skip=CKV_AWS_116:a batch is given again until it is taken; one that is put aside is a gap
  #checkov:skip=CKV_AWS_272:packages are made by the pipeline's owner from a manifest, of a program whose digest is published
  count = var.exporter == null ? 0 : 1

  function_name    = "${var.name}-exporter"
  description      = "DynamoDB Streams to Bronze: positions inside the commit"
  role             = aws_iam_role.function["exporter"].arn
  runtime          = "provided.al2023"
  handler          = "bootstrap"
  architectures    = [var.architecture]
  filename         = var.exporter.package
  source_code_hash = filebase64sha256(var.exporter.package)
  memory_size      = var.exporter.memory_mib
  timeout          = 60

  environment {
    variables = merge(var.environment, {
      RUST_LOG = var.log_level
    })
  }

  vpc_config {
    subnet_ids         = var.vpc.subnet_ids
    security_group_ids = [aws_security_group.functions.id]
  }

  logging_config {
    log_format = "Text"
    log_group  = aws_cloudwatch_log_group.function["exporter"].name
  }

  depends_on = [aws_iam_role_policy.function]
}

resource "aws_lambda_event_source_mapping" "stream" {
  count = var.exporter == null ? 0 : 1

  event_source_arn                   = var.exporter.stream_arn
  function_name                      = aws_lambda_function.exporter[0].arn
  enabled                            = var.exporter.enabled
  starting_position                  = "TRIM_HORIZON"
  batch_size                         = 10000
  maximum_batching_window_in_seconds = var.exporter.window_seconds
  tumbling_window_in_seconds         = 900
  parallelization_factor             = 1
  maximum_retry_attempts             = -1
  maximum_record_age_in_seconds      = -1
  bisect_batch_on_function_error     = false
  function_response_types            = ["ReportBatchItemFailures"]

  # Its rights are the function's.
  depends_on = [aws_iam_role_policy.function]
}

# Of a table in which nothing happens Lambda invokes nobody, and the log must still learn that nothing was missed.
resource "aws_cloudwatch_event_rule" "look" {
  count = var.exporter == null ? 0 : 1

  name                = "${var.name}-exporter-look"
  description         = "The exporter's function looks at quiet shards"
  schedule_expression = "rate(1 hour)"
}

resource "aws_cloudwatch_event_target" "look" {
  count = var.exporter == null ? 0 : 1

  rule = aws_cloudwatch_event_rule.look[0].name
  arn  = aws_lambda_function.exporter[0].arn
}

resource "aws_lambda_permission" "look" {
  count = var.exporter == null ? 0 : 1

  statement_id  = "Look"
  action        = "lambda:InvokeFunction"
  function_name = aws_lambda_function.exporter[0].function_name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.look[0].arn
}
