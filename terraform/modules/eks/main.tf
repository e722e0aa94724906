# An EKS cluster, or an existing one. Its nodes are in nodes.tf.

locals {
  made = var.existing == null

  name              = local.made ? aws_eks_cluster.this[0].name : var.existing.name
  endpoint          = local.made ? aws_eks_cluster.this[0].endpoint : var.existing.endpoint
  security_group_id = local.made ? aws_eks_cluster.this[0].vpc_config[0].cluster_security_group_id : var.existing.security_group_id

  irsa              = local.made && var.irsa
  oidc_provider_arn = local.made ? (var.irsa ? aws_iam_openid_connect_provider.this[0].arn : null) : var.existing.oidc_provider_arn
  oidc_issuer       = local.made ? (var.irsa ? trimprefix(aws_iam_openid_connect_provider.this[0].url, "https://") : null) : var.existing.oidc_issuer

  log_group     = "/aws/eks/${var.name}/cluster"
  log_group_arn = "arn:${data.aws_partition.current.partition}:logs:${data.aws_region.current.region}:${data.aws_caller_identity.current.account_id}:log-group:${local.log_group}"
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

module "key" {
  source = "../kms_key"
  count  = local.made ? 1 : 0

  name        = "${var.name}-cluster"
  description = "Cluster ${var.name}: its Secrets and its logs"
  services    = ["eks", "logs"]
  service_principals = [
    {
      principal  = "logs.${data.aws_region.current.region}.${data.aws_partition.current.dns_suffix}"
      actions    = ["kms:Decrypt", "kms:DescribeKey", "kms:Encrypt", "kms:GenerateDataKey", "kms:ReEncryptFrom", "kms:ReEncryptTo"]
      conditions = { ArnEquals = { "kms:EncryptionContext:aws:logs:arn" = [local.log_group_arn] } }
    },
  ]
}

resource "aws_cloudwatch_log_group" "this" {
  #checkov:skip=CKV_AWS_338:how long is a variable
  count = local.made ? 1 : 0

  name              = local.log_group
  retention_in_days = var.log_retention_days
  kms_key_id        = module.key[0].arn
}

resource "aws_iam_role" "cluster" {
  count = local.made ? 1 : 0

  name = "${var.name}-cluster"
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "eks.amazonaws.com" }
      Action    = ["sts:AssumeRole", "sts:TagSession"]
      Condition = { StringEquals = { "aws:SourceAccount" = data.aws_caller_identity.current.account_id } }
    }]
  })
}

resource "aws_iam_role_policy_attachment" "cluster" {
  count = local.made ? 1 : 0

  role       = aws_iam_role.cluster[0].name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/AmazonEKSClusterPolicy"
}

resource "aws_eks_cluster" "this" {
  #checkov:skip=CKV_AWS_39:public access is off unless address ranges are named, of which none may be all of the internet
  #checkov:skip=CKV_AWS_339:the version is a variable, and checkov's list of versions ends before it
  count = local.made ? 1 : 0

  name                          = var.name
  role_arn                      = aws_iam_role.cluster[0].arn
  version                       = var.kubernetes_version
  bootstrap_self_managed_addons = false
  deletion_protection           = var.deletion_protection
  enabled_cluster_log_types     = ["api", "audit", "authenticator", "controllerManager", "scheduler"]

  access_config {
    authentication_mode                         = "API"
    bootstrap_cluster_creator_admin_permissions = false
  }

  encryption_config {
    resources = ["secrets"]

    provider {
      key_arn = module.key[0].arn
    }
  }

  vpc_config {
    subnet_ids              = var.subnet_ids
    endpoint_private_access = true
    endpoint_public_access  = length(var.public_access_cidrs) > 0
    public_access_cidrs     = length(var.public_access_cidrs) > 0 ? var.public_access_cidrs : null
  }

  upgrade_policy {
    support_type = "STANDARD"
  }

  depends_on = [aws_iam_role_policy_attachment.cluster, aws_cloudwatch_log_group.this]
}

resource "aws_eks_access_entry" "admin" {
  for_each = local.made ? var.admin_role_arns : {}

  cluster_name  = aws_eks_cluster.this[0].name
  principal_arn = each.value
}

resource "aws_eks_access_policy_association" "admin" {
  for_each = local.made ? var.admin_role_arns : {}

  cluster_name  = aws_eks_cluster.this[0].name
  principal_arn = aws_eks_access_entry.admin[each.key].principal_arn
  policy_arn    = "arn:${data.aws_partition.current.partition}:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy"

  access_scope {
    type = "cluster"
  }
}

resource "aws_iam_openid_connect_provider" "this" {
  count = local.irsa ? 1 : 0

  url            = aws_eks_cluster.this[0].identity[0].oidc[0].issuer
  client_id_list = ["sts.amazonaws.com"]
}
