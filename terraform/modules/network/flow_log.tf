# Who spoke to whom in a VPC of our own.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  flow_log_group = "/medallion/${var.name}/flow"
  log_groups     = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group"
  flow_log_arn   = "${local.log_groups}:${local.flow_log_group}"
}

module "flow_log_key" {
  source = "../kms_key"
  count  = local.made ? 1 : 0

  name        = "${var.name}-flow-log"
  description = "Flow log of ${var.name}"
  services    = ["logs"]
  service_principals = [{
    principal  = "logs.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}"
    actions    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
    conditions = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = [local.flow_log_arn] } }
  }]
}

resource "aws_cloudwatch_log_group" "flow" {
  #checkov:skip=CKV_AWS_338:how long is a variable; a month of connections is enough to look at an incident
  count = local.made ? 1 : 0

  name              = local.flow_log_group
  retention_in_days = var.flow_log_days
  kms_key_id        = module.flow_log_key[0].arn
}

resource "aws_iam_role" "flow_log" {
  count = local.made ? 1 : 0

  name = "${var.name}-flow-log"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "vpc-flow-logs.amazonaws.com" }
      Action    = "sts:AssumeRole"
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy" "flow_log" {
  count = local.made ? 1 : 0

  name = "write"
  role = aws_iam_role.flow_log[0].id
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Effect   = "Allow"
        Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
        Resource = [local.flow_log_arn, "${local.flow_log_arn}:*"]
      },
      {
        # How the flow log finds its group; the action knows no single one.
        Effect   = "Allow"
        Action   = ["logs:DescribeLogGroups"]
        Resource = ["${local.log_groups}:*"]
      },
    ]
  })
}

resource "aws_flow_log" "this" {
  count = local.made ? 1 : 0

  vpc_id               = aws_vpc.this[0].id
  traffic_type         = "ALL"
  log_destination_type = "cloud-watch-logs"
  log_destination      = aws_cloudwatch_log_group.flow[0].arn
  iam_role_arn         = aws_iam_role.flow_log[0].arn
}
