# A customer-managed key with yearly rotation. Its policy lets the account's IAM policies say who may use it, and only through the
# services named; administration and use are told apart, and no statement has a wildcard for its actions.

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

locals {
  account = "arn:${data.aws_partition.current.partition}:iam::${data.aws_caller_identity.current.account_id}:root"
  suffix  = startswith(data.aws_region.current.region, "cn-") ? "amazonaws.com.cn" : "amazonaws.com"

  # In a key's policy the resource "*" is the key itself.
  statements = concat(
    [
      {
        Sid       = "AdministrationByIam"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action = [
          "kms:CancelKeyDeletion", "kms:CreateAlias", "kms:DeleteAlias", "kms:DescribeKey", "kms:DisableKey", "kms:DisableKeyRotation",
          "kms:EnableKey", "kms:EnableKeyRotation", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListAliases", "kms:ListGrants",
          "kms:ListKeyPolicies", "kms:ListKeyRotations", "kms:ListResourceTags", "kms:PutKeyPolicy", "kms:RevokeGrant",
          "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource", "kms:UpdateAlias", "kms:UpdateKeyDescription",
        ]
        Resource = "*"
      },
      {
        Sid       = "UseByIamThroughServices"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action = [
          "kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:GenerateDataKeyWithoutPlaintext",
          "kms:ReEncryptFrom", "kms:ReEncryptTo",
        ]
        Resource = "*"
        Condition = {
          StringEquals = {
            "kms:CallerAccount" = data.aws_caller_identity.current.account_id
            "kms:ViaService"    = [for service in var.services : "${service}.${data.aws_region.current.region}.${local.suffix}"]
          }
        }
      },
      {
        # What a service keeps for later, such as a table's or a node's own right to decrypt, it keeps as a grant.
        Sid       = "GrantsForServices"
        Effect    = "Allow"
        Principal = { AWS = local.account }
        Action    = ["kms:CreateGrant"]
        Resource  = "*"
        Condition = { Bool = { "kms:GrantIsForAWSResource" = "true" } }
      },
    ],
    [
      for entry in var.service_principals : merge(
        {
          Effect    = "Allow"
          Principal = { Service = entry.principal }
          Action    = entry.actions
          Resource  = "*"
        },
        length(entry.conditions) > 0 ? { Condition = entry.conditions } : {},
      )
    ],
  )
}

resource "aws_kms_key" "this" {
  #checkov:skip=CKV2_AWS_64:the policy is a resource of its own, aws_kms_key_policy, so that it can name the key
  description             = var.description
  enable_key_rotation     = true
  rotation_period_in_days = 365
  deletion_window_in_days = var.deletion_window_days
}

resource "aws_kms_key_policy" "this" {
  key_id = aws_kms_key.this.key_id
  policy = jsonencode({ Version = "2012-10-17", Statement = local.statements })
}

resource "aws_kms_alias" "this" {
  name          = "alias/${var.name}"
  target_key_id = aws_kms_key.this.key_id
}
