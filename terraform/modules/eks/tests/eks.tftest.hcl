variables {
  name       = "shop-dev"
  subnet_ids = ["subnet-a", "subnet-b", "subnet-c"]
}

run "is_private_encrypted_and_logged" {
  command = plan

  assert {
    condition     = aws_eks_cluster.this[0].vpc_config[0].endpoint_private_access && !aws_eks_cluster.this[0].vpc_config[0].endpoint_public_access
    error_message = "The API server must be private unless ranges are named."
  }

  assert {
    condition     = aws_eks_cluster.this[0].encryption_config[0].resources == toset(["secrets"])
    error_message = "Secrets must be encrypted with the key."
  }

  assert {
    condition     = length(aws_eks_cluster.this[0].enabled_cluster_log_types) == 5
    error_message = "All logs of the control plane must be kept."
  }

  assert {
    condition     = aws_eks_cluster.this[0].access_config[0].authentication_mode == "API" && !aws_eks_cluster.this[0].access_config[0].bootstrap_cluster_creator_admin_permissions
    error_message = "Who administers must be said, not be who was first."
  }
}

run "hands_out_pod_identities" {
  command = plan

  assert {
    condition     = contains(keys(aws_eks_addon.this), "eks-pod-identity-agent")
    error_message = "Pods get no roles without the agent."
  }

  assert {
    condition     = aws_launch_template.node[0].metadata_options[0].http_tokens == "required" && aws_launch_template.node[0].metadata_options[0].http_put_response_hop_limit == 1
    error_message = "Pods must not get the identity of their node."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 0 && output.oidc_provider_arn == null
    error_message = "An OIDC provider is made on wish alone."
  }
}

run "can_do_irsa" {
  command = apply
  variables { irsa = true }

  assert {
    condition     = length(aws_iam_openid_connect_provider.this) == 1 && output.oidc_provider_arn != null && !startswith(output.oidc_issuer, "https://")
    error_message = "The provider is missing."
  }
}

run "opens_to_named_ranges" {
  command = plan
  variables { public_access_cidrs = ["203.0.113.0/24"] }

  assert {
    condition     = aws_eks_cluster.this[0].vpc_config[0].endpoint_public_access && aws_eks_cluster.this[0].vpc_config[0].public_access_cidrs == toset(["203.0.113.0/24"])
    error_message = "The named range must reach the API server, and nobody else."
  }
}

run "lets_named_roles_administer" {
  command = plan
  variables { admin_role_arns = { platform = "arn:aws:iam::123456789012:role/platform" } }

  assert {
    condition     = aws_eks_access_entry.admin["platform"].principal_arn == "arn:aws:iam::123456789012:role/platform"
    error_message = "The named role has no access."
  }
}

run "works_on_an_existing_cluster" {
  command = apply

  variables {
    subnet_ids = []
    existing = {
      name              = "company"
      endpoint          = "https://company.example"
      security_group_id = "sg-company"
    }
  }

  assert {
    condition     = length(aws_eks_cluster.this) == 0 && length(aws_eks_node_group.this) == 0 && length(aws_eks_addon.this) == 0
    error_message = "Nothing may be made beside what is there."
  }

  assert {
    condition     = output.name == "company" && output.security_group_id == "sg-company"
    error_message = "The given cluster must be used."
  }
}

run "refuses_a_long_name" {
  command = plan
  variables { name = "the-cluster-of-the-shop-for-the-development-of-things" }
  expect_failures = [var.name]
}

run "refuses_one_subnet" {
  command = plan
  variables { subnet_ids = ["subnet-a"] }
  expect_failures = [var.subnet_ids]
}

run "refuses_an_old_kubernetes" {
  command = plan
  variables { kubernetes_version = "1.24" }
  expect_failures = [var.kubernetes_version]
}

run "refuses_all_of_the_internet" {
  command = plan
  variables { public_access_cidrs = ["0.0.0.0/0"] }
  expect_failures = [var.public_access_cidrs]
}

run "refuses_more_nodes_than_max" {
  command = plan
  variables { nodes = { desired = 9 } }
  expect_failures = [var.nodes]
}

run "refuses_small_volumes" {
  command = plan
  variables { nodes = { volume_gib = 8 } }
  expect_failures = [var.nodes]
}

run "refuses_users_as_admins" {
  command = plan
  variables { admin_role_arns = { anna = "arn:aws:iam::123456789012:user/anna" } }
  expect_failures = [var.admin_role_arns]
}

run "refuses_days_that_cloudwatch_does_not_take" {
  command = plan
  variables { log_retention_days = 31 }
  expect_failures = [var.log_retention_days]
}
