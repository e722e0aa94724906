# Who brings metrics and logs here: the agent in the cluster. Nodes give their identity to no pod, so it has a role of its own.
locals {
  agent_account = "system:serviceaccount:${try(var.agent.namespace, "")}:${try(var.agent.service_account, "")}"
  agent_issuer  = try(split(":oidc-provider/", var.agent.oidc_provider_arn)[1], "")
  agent_irsa    = try(var.agent.oidc_provider_arn, null) != null

  agent_trust = local.agent_irsa ? {
    Principal = { Federated = var.agent.oidc_provider_arn }
    Action    = ["sts:AssumeRoleWithWebIdentity"]
    Condition = { StringEquals = { "${local.agent_issuer}:aud" = "sts.amazonaws.com", "${local.agent_issuer}:sub" = local.agent_account } }
    } : {
    Principal = { Service = "pods.eks.amazonaws.com" }
    Action    = ["sts:AssumeRole", "sts:TagSession"]
    Condition = {
      StringEquals = {
        "aws:RequestTag/eks-cluster-arn"            = "arn:${local.partition}:eks:${local.region}:${local.account}:cluster/${try(var.agent.cluster_name, "")}"
        "aws:RequestTag/kubernetes-namespace"       = try(var.agent.namespace, "")
        "aws:RequestTag/kubernetes-service-account" = try(var.agent.service_account, "")
      }
    }
  }

  # Metrics come as lines of a log, too: CloudWatch makes metrics of them.
  log_group_arns = [for group in aws_cloudwatch_log_group.this : group.arn]
}

resource "aws_iam_role" "agent" {
  count = var.agent == null ? 0 : 1

  name        = "${var.name}-agent"
  description = "Sends logs and metrics of ${var.name} to CloudWatch"

  assume_role_policy = jsonencode({
    Version   = "2012-10-17"
    Statement = [merge({ Sid = "Pod", Effect = "Allow" }, local.agent_trust)]
  })
}

resource "aws_iam_role_policy" "agent" {
  count = var.agent == null ? 0 : 1

  name = "send"
  role = aws_iam_role.agent[0].name

  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Sid      = "Send"
      Effect   = "Allow"
      Action   = ["logs:CreateLogStream", "logs:DescribeLogStreams", "logs:PutLogEvents"]
      Resource = concat(local.log_group_arns, [for arn in local.log_group_arns : "${arn}:log-stream:*"])
    }]
  })
}

resource "aws_eks_pod_identity_association" "agent" {
  count = var.agent == null || local.agent_irsa ? 0 : 1

  cluster_name    = var.agent.cluster_name
  namespace       = var.agent.namespace
  service_account = var.agent.service_account
  role_arn        = aws_iam_role.agent[0].arn
}
