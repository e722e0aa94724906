# Who may be a worker: a pod of this cluster, this namespace and this service account. Where EKS hands roles out for all pods of all
# clusters of the account, the tags of the session are what tells them apart.
locals {
  oidc_issuer = var.oidc_provider_arn == null ? "" : split(":oidc-provider/", var.oidc_provider_arn)[1]

  pod_identity_trust = {
    for worker, account in local.service_accounts : worker => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "Pod"
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
        Condition = {
          StringEquals = {
            "aws:RequestTag/eks-cluster-arn"            = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${var.cluster_name}"
            "aws:RequestTag/kubernetes-namespace"       = var.namespace
            "aws:RequestTag/kubernetes-service-account" = account
          }
        }
      }]
    })
  }

  irsa_trust = {
    for worker, account in local.service_accounts : worker => jsonencode({
      Version = "2012-10-17"
      Statement = [{
        Sid       = "Pod"
        Effect    = "Allow"
        Principal = { Federated = var.oidc_provider_arn }
        Action    = ["sts:AssumeRoleWithWebIdentity"]
        Condition = {
          StringEquals = {
            "${local.oidc_issuer}:aud" = "sts.amazonaws.com"
            "${local.oidc_issuer}:sub" = "system:serviceaccount:${var.namespace}:${account}"
          }
        }
      }]
    })
  }

  trust = var.mode == "Irsa" ? local.irsa_trust : local.pod_identity_trust
}
