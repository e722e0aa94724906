# The functions of the product: the gateway behind an HTTP API, and the exporter on the table's stream. Both as docs/lambda.md and
# docs/lambda-bronze.md demand it. What is common to both is here.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.region
  dns_suffix = data.aws_partition.current.dns_suffix
  hosts      = "${local.region}.${local.dns_suffix}"

  functions = toset([for function, wanted in { gateway = var.gateway, exporter = var.exporter } : function if wanted != null])
  logs      = "arn:${local.partition}:logs:${local.region}:${local.account}:log-group"
}

module "key" {
  source = "../kms_key"

  name        = "${var.name}-functions"
  description = "Logs of functions and API of ${var.name}"
  services    = ["logs"]
  service_principals = [
    {
      principal = "logs.${local.hosts}"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      conditions = {
        ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = ["${local.logs}:/aws/lambda/${var.name}-*", "${local.logs}:/aws/apigateway/${var.name}"]
        }
      }
    },
  ]
}

resource "aws_cloudwatch_log_group" "function" {
  #checkov:skip=CKV_AWS_338:how long is a variable; the functions' logs say nothing of the events
  for_each = local.functions

  name              = "/aws/lambda/${var.name}-${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key.arn
}

resource "aws_security_group" "functions" {
  name        = "${var.name}-functions"
  description = "Functions of ${var.name}: nobody reaches them here"
  vpc_id      = var.vpc.id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.functions.id
  description       = "AWS, by endpoints of the VPC or a NAT gateway"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}

resource "aws_vpc_security_group_egress_rule" "brokers" {
  security_group_id = aws_security_group.functions.id
  description       = "Brokers, whatever clients prove themselves by"
  cidr_ipv4         = var.vpc.cidr_block
  ip_protocol       = "tcp"
  from_port         = 9092
  to_port           = 9098
}
