# One topic for all that a person must know. It is encrypted by a key of its own, because Amazon's key for SNS lets no CloudWatch alarm
# publish: an alarm whose topic has that one fires unheard.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  partition = data.aws_partition.current.partition
  region    = data.aws_region.current.region

  topic  = "${var.name}-alerts"
  alarms = "arn:${local.partition}:cloudwatch:${local.region}:${local.account}:alarm:*"
}

module "key" {
  source = "../kms_key"

  name        = "${var.name}-alerts"
  description = "Messages of the topic ${local.topic}"
  services    = ["sns"]
  service_principals = [
    {
      principal = "cloudwatch.amazonaws.com"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      conditions = {
        StringEquals = { "aws:SourceAccount" = [local.account] }
        ArnLike      = { "aws:SourceArn" = [local.alarms] }
      }
    },
  ]
}

resource "aws_sns_topic" "alerts" {
  name              = local.topic
  kms_master_key_id = module.key.arn
}

resource "aws_sns_topic_policy" "alerts" {
  arn = aws_sns_topic.alerts.arn

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = concat(
      [
        {
          Sid       = "AlarmsPublish"
          Effect    = "Allow"
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action    = ["sns:Publish"]
          Resource  = [aws_sns_topic.alerts.arn]
          Condition = {
            StringEquals = { "aws:SourceAccount" = local.account }
            ArnLike      = { "aws:SourceArn" = local.alarms }
          }
        },
        {
          Sid       = "RefusePlainHttp"
          Effect    = "Deny"
          Principal = { AWS = "*" }
          Action    = ["sns:Publish"]
          Resource  = [aws_sns_topic.alerts.arn]
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
        {
          Sid       = "RefuseOtherAccounts"
          Effect    = "Deny"
          Principal = { AWS = "*" }
          Action    = ["sns:Publish", "sns:Subscribe"]
          Resource  = [aws_sns_topic.alerts.arn]
          Condition = {
            StringNotEquals = { "aws:PrincipalAccount" = local.account }
            Bool            = { "aws:PrincipalIsAWSService" = "false" }
          }
        },
      ],
      [
        for publishers in length(var.publisher_role_arns) == 0 ? [] : [sort(var.publisher_role_arns)] : {
          Sid       = "RolesPublish"
          Effect    = "Allow"
          Principal = { AWS = publishers }
          Action    = ["sns:Publish"]
          Resource  = [aws_sns_topic.alerts.arn]
        }
      ],
    )
  })
}

resource "aws_sns_topic_subscription" "email" {
  for_each = var.emails

  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = each.key

  # The policy decides who may subscribe.
  depends_on = [aws_sns_topic_policy.alerts]
}
