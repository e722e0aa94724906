# The functions as docs/lambda.md and docs/lambda-bronze.md demand them.
variables {
  name = "shop-dev"

  vpc = {
    id         = "vpc-1"
    cidr_block = "10.60.0.0/16"
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  kafka = {
    cluster_arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/shop-dev/0b7c-1"
    topic       = "purchase_orders"
  }

  gateway = {
    package               = "tests/package.zip"
    secret_arns           = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-gateway-a1b2c3"]
    secrets_extension_arn = "arn:aws:lambda:eu-west-1:015030872274:layer:AWS-Parameters-and-Secrets-Lambda-Extension-Arm64:12"
  }

  environment = {
    HTTPS_PROXY = "http://proxy.shop.example:3128"
  }

  exporter = {
    package           = "tests/package.zip"
    table_arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
    stream_arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders/stream/2026-11-30T00:00:00.000"
    bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
    kms_key_arns      = ["arn:aws:kms:eu-west-1:123456789012:key/lake", "arn:aws:kms:eu-west-1:123456789012:key/table"]
  }
}

run "the_gateway_behind_its_api" {
  command = apply

  assert {
    condition     = aws_lambda_function.gateway[0].runtime == "provided.al2023" && aws_lambda_function.gateway[0].timeout == 28 && aws_lambda_function.gateway[0].architectures == tolist(["arm64"])
    error_message = "the program is packed for it"
  }

  assert {
    condition     = aws_lambda_function.gateway[0].reserved_concurrent_executions == 50
    error_message = "what reaches the brokers is bounded"
  }

  assert {
    condition     = aws_lambda_function.gateway[0].environment[0].variables["MEDALLION_SECRETS"] == "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-gateway-a1b2c3"
    error_message = "secrets are named, and never in the package"
  }

  assert {
    condition     = aws_lambda_function.gateway[0].environment[0].variables["HTTPS_PROXY"] == "http://proxy.shop.example:3128" && aws_lambda_function.exporter[0].environment[0].variables["HTTPS_PROXY"] == "http://proxy.shop.example:3128" && aws_lambda_function.exporter[0].environment[0].variables["RUST_LOG"] == "info"
    error_message = "both functions come out by the company's proxy"
  }

  assert {
    condition     = aws_apigatewayv2_integration.gateway[0].payload_format_version == "2.0" && aws_apigatewayv2_integration.gateway[0].timeout_milliseconds == 30000
    error_message = "the answer has the time that it takes"
  }

  assert {
    condition     = aws_apigatewayv2_route.events[0].route_key == "POST /v1/events" && endswith(output.gateway.url, "/v1/events")
    error_message = "clients post as they post to the pods"
  }

  assert {
    condition     = aws_apigatewayv2_stage.default[0].default_route_settings[0].throttling_rate_limit == 500 && length(aws_apigatewayv2_stage.default[0].access_log_settings) == 1
    error_message = "the stage is bounded and logged"
  }

  assert {
    condition     = endswith(aws_lambda_permission.api[0].source_arn, "/*/POST/v1/events")
    error_message = "only this route of this API invokes it"
  }
}

run "the_mapping_leaves_no_gap" {
  command = apply

  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].starting_position == "TRIM_HORIZON" && aws_lambda_event_source_mapping.stream[0].tumbling_window_in_seconds == 900
    error_message = "from the stream's beginning, with the shard in the event"
  }

  assert {
    condition     = aws_lambda_event_source_mapping.stream[0].parallelization_factor == 1 && aws_lambda_event_source_mapping.stream[0].maximum_retry_attempts == -1 && aws_lambda_event_source_mapping.stream[0].maximum_record_age_in_seconds == -1
    error_message = "in order, for ever"
  }

  assert {
    condition     = !aws_lambda_event_source_mapping.stream[0].bisect_batch_on_function_error && aws_lambda_event_source_mapping.stream[0].function_response_types == toset(["ReportBatchItemFailures"])
    error_message = "whole, up to what cannot be read"
  }

  assert {
    condition     = length(aws_lambda_event_source_mapping.stream[0].filter_criteria) == 0 && length(aws_lambda_event_source_mapping.stream[0].destination_config) == 0
    error_message = "nothing is left out, nothing is put aside"
  }

  assert {
    condition     = aws_cloudwatch_event_rule.look[0].schedule_expression == "rate(1 hour)" && aws_lambda_permission.look[0].principal == "events.amazonaws.com"
    error_message = "quiet shards are looked at"
  }
}

run "least_rights" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for function, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action : !strcontains(action, "*") && (!contains(statement.Resource, "*") || anytrue([
            for known in jsondecode(file("star-resources.json")) : contains(known.functions, function) && contains(known.actions, action)
          ]))
        ]
      ]
    ]))
    error_message = "no action has a star, and each resource * stands in star-resources.json"
  }

  assert {
    condition     = alltrue([for policy in values(output.policies) : anytrue([for statement in jsondecode(policy).Statement : statement.Effect == "Deny" && can(statement.Condition.ArnEquals["lambda:SourceFunctionArn"])])])
    error_message = "the code of a function makes no network interfaces"
  }

  assert {
    condition     = !strcontains(output.policies["gateway"], "s3:") && !strcontains(output.policies["gateway"], "dynamodb:") && !strcontains(output.policies["exporter"], "kafka-cluster:") && !strcontains(output.policies["exporter"], "dynamodb:PutItem")
    error_message = "each does its own work"
  }

  assert {
    condition     = [for statement in jsondecode(output.policies["exporter"]).Statement : statement.Resource if contains(statement.Action, "s3:PutObject")] == [["arn:aws:s3:::shop-dev-bronze/purchase_orders/*"]]
    error_message = "the exporter writes the one table"
  }
}

run "rules_are_described_as_ec2_takes_it" {
  command = apply

  assert {
    condition = alltrue([
      for rule in [aws_vpc_security_group_egress_rule.https, aws_vpc_security_group_egress_rule.brokers] :
      can(regex("^[a-zA-Z0-9 ._:/()#,@\\[\\]+=&;{}!$*-]{1,255}$", rule.description))
    ])
    error_message = "EC2 refuses other characters in a rule's description, an apostrophe among them"
  }
}

run "logs_are_kept_as_long_as_said" {
  command = apply

  variables {
    log_retention_days = 14
  }

  assert {
    condition     = alltrue([for group in concat(values(aws_cloudwatch_log_group.function), aws_cloudwatch_log_group.access) : group.retention_in_days == 14 && group.kms_key_id == module.key.arn])
    error_message = "and encrypted"
  }
}

run "one_of_them_alone" {
  command = apply

  variables {
    gateway = null
  }

  assert {
    condition     = output.gateway == null && length(aws_apigatewayv2_api.gateway) == 0 && output.exporter.function_name == "shop-dev-exporter"
    error_message = "the gateway stays in the cluster"
  }
}
