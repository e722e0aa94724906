output "identities" {
  description = "By worker: the service account, the role's ARN, and how pods come by it (PodIdentity or Irsa)."
  value = {
    for worker, role in aws_iam_role.worker : worker => {
      service_account = local.service_accounts[worker]
      role_arn        = role.arn
      mode            = var.mode
    }
  }

  # A pod that starts before its role is whole is refused, and is as good as broken until it starts anew.
  depends_on = [aws_iam_role_policy.worker, aws_eks_pod_identity_association.worker]
}

output "role_names" {
  description = "Name of the role by worker."
  value       = { for worker, role in aws_iam_role.worker : worker => role.name }
}

output "database_users" {
  description = "By worker that speaks to Redshift: the database user that its role is there. The loader's is `spec.warehouse.redshift.loaderUser`."
  value       = { for worker in ["provisioner", "loader"] : worker => "IAMR:${aws_iam_role.worker[worker].name}" if var.warehouse != null }
}

output "policies" {
  description = "By worker: its rights, as JSON."
  value       = { for worker, policy in aws_iam_role_policy.worker : worker => policy.policy }
}

output "trust_policies" {
  description = "By worker: whom its role trusts, as JSON."
  value       = { for worker, role in aws_iam_role.worker : worker => role.assume_role_policy }
}
