# The warehouse: what serverless and cluster have in common. Neither is reached from outside of the VPC, and neither without TLS.
data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account    = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  region     = data.aws_region.current.region
  dns_suffix = data.aws_partition.current.dns_suffix

  serverless = var.type == "Serverless"
  admin      = "medallion_admin"
  port       = 5439

  logs      = toset(["connectionlog", "useractivitylog", "userlog"])
  log_group = local.serverless ? "/aws/redshift/${var.name}" : "/aws/redshift/cluster/${var.name}"
}

module "key" {
  source = "../kms_key"

  name        = "${var.name}-warehouse"
  description = "Warehouse ${var.name}: data, snapshots, the administrator's secret, audit logs"
  services    = ["redshift", "redshift-serverless", "secretsmanager"]
  service_principals = [
    {
      principal = "logs.${local.region}.${local.dns_suffix}"
      actions   = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      conditions = {
        ArnLike = {
          "kms:EncryptionContext:aws:logs:arn" = ["arn:${local.partition}:logs:${local.region}:${local.account}:log-group:${local.log_group}/*"]
        }
      }
    },
  ]
}

# Redshift writes into these if they are there, and else makes some that are kept for ever.
resource "aws_cloudwatch_log_group" "audit" {
  #checkov:skip=CKV_AWS_338:how long audit logs are kept is the environment's to say; the default is a year
  for_each = local.logs

  name              = "${local.log_group}/${each.key}"
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key.arn
}

resource "aws_security_group" "this" {
  name        = "${var.name}-warehouse"
  description = "Warehouse ${var.name}"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_ingress_rule" "client" {
  for_each = var.client_security_group_ids

  security_group_id            = aws_security_group.this.id
  description                  = each.key
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
}

# With enhanced VPC routing COPY goes this way to S3, KMS and Secrets Manager, through the VPC's endpoints.
resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.this.id
  description       = "COPY reads S3"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
