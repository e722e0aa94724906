# What each function may do, and what Lambda needs of its role to run it in a VPC.
locals {
  kafka_cluster = try(var.kafka.cluster_arn, "")

  gateway_statements = concat(
    [
      for statement in [
        { Sid = "Connect", Effect = "Allow", Action = ["kafka-cluster:Connect", "kafka-cluster:WriteDataIdempotently"], Resource = [local.kafka_cluster] },
        { Sid = "Produce", Effect = "Allow", Action = ["kafka-cluster:DescribeTopic", "kafka-cluster:WriteData"], Resource = ["${replace(local.kafka_cluster, ":cluster/", ":topic/")}/${try(var.kafka.topic, "")}"] },
      ] : statement if var.kafka != null
    ],
    [
      for arns in [try(var.gateway.secret_arns, [])] : {
        Sid      = "Secrets"
        Effect   = "Allow"
        Action   = ["secretsmanager:GetSecretValue"]
        Resource = arns
      } if length(arns) > 0
    ],
    [
      for arns in [try(var.gateway.secret_kms_key_arns, [])] : {
        Sid       = "SecretsKeys"
        Effect    = "Allow"
        Action    = ["kms:Decrypt"]
        Resource  = arns
        Condition = { StringEquals = { "kms:ViaService" = "secretsmanager.${local.hosts}" } }
      } if length(arns) > 0
    ],
  )

  exporter_table  = try(var.exporter.table_arn, "")
  exporter_bucket = try(var.exporter.bronze_bucket_arn, "")

  exporter_statements = [
    { Sid = "Table", Effect = "Allow", Action = ["dynamodb:DescribeTable"], Resource = [local.exporter_table] },
    # The mapping reads with the function's rights, and the function itself looks at shards that are quiet.
    { Sid = "Stream", Effect = "Allow", Action = ["dynamodb:DescribeStream", "dynamodb:GetRecords", "dynamodb:GetShardIterator"], Resource = ["${local.exporter_table}/stream/*"] },
    # IAM knows no streams to list but all of them.
    { Sid = "Streams", Effect = "Allow", Action = ["dynamodb:ListStreams"], Resource = ["*"] },
    { Sid = "List", Effect = "Allow", Action = ["s3:ListBucket"], Resource = [local.exporter_bucket] },
    { Sid = "Bronze", Effect = "Allow", Action = ["s3:AbortMultipartUpload", "s3:GetObject", "s3:PutObject"], Resource = ["${local.exporter_bucket}/${try(split("/", local.exporter_table)[1], "")}/*"] },
    {
      Sid       = "Keys"
      Effect    = "Allow"
      Action    = ["kms:Decrypt", "kms:GenerateDataKey"]
      Resource  = try(var.exporter.kms_key_arns, [])
      Condition = { StringEquals = { "kms:ViaService" = ["dynamodb.${local.hosts}", "s3.${local.hosts}"] } }
    },
  ]

  own_statements = { gateway = local.gateway_statements, exporter = local.exporter_statements }

  # Lambda makes and drops a function's network interfaces with the function's role. That the function's own code does so is denied.
  network_actions = [
    "ec2:AssignPrivateIpAddresses", "ec2:CreateNetworkInterface", "ec2:DeleteNetworkInterface", "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets", "ec2:UnassignPrivateIpAddresses",
  ]

  function_arns = { for function in local.functions : function => "arn:${local.partition}:lambda:${local.region}:${local.account}:function:${var.name}-${function}" }
}

resource "aws_iam_role" "function" {
  for_each = local.functions

  name        = "${var.name}-${each.key}-function"
  description = "Function ${var.name}-${each.key}"

  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid       = "Lambda"
      Effect    = "Allow"
      Principal = { Service = "lambda.amazonaws.com" }
      Action    = ["sts:AssumeRole"]
    }]
  })
}

resource "aws_iam_role_policy" "function" {
  #checkov:skip=CKV_AWS_290:AWS documents the network rights of a function for all interfaces; star-resources.json
  #checkov:skip=CKV_AWS_355:the same, and streams have no resource to list; star-resources.json
  for_each = local.functions

  name = "work"
  role = aws_iam_role.function[each.key].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      local.own_statements[each.key],
      [
        { Sid = "Log", Effect = "Allow", Action = ["logs:CreateLogStream", "logs:PutLogEvents"], Resource = ["${aws_cloudwatch_log_group.function[each.key].arn}:log-stream:*"] },
        { Sid = "Network", Effect = "Allow", Action = local.network_actions, Resource = ["*"] },
        {
          Sid       = "NetworkByLambdaAlone"
          Effect    = "Deny"
          Action    = local.network_actions
          Resource  = ["*"]
          Condition = { ArnEquals = { "lambda:SourceFunctionArn" = local.function_arns[each.key] } }
        },
      ],
    )
  })
}
