variables {
  name                      = "shop-dev"
  vpc_id                    = "vpc-0a1b2c3d"
  subnet_ids                = ["subnet-a", "subnet-b", "subnet-c"]
  client_security_group_ids = { nodes = "sg-nodes" }
}

run "is_serverless_with_iam" {
  command = plan

  assert {
    condition     = length(aws_msk_cluster.this) == 0 && aws_msk_serverless_cluster.this[0].client_authentication[0].sasl[0].iam[0].enabled
    error_message = "By default the cluster is serverless, and clients come with IAM."
  }

  assert {
    condition     = output.replication_factor == null
    error_message = "MSK Serverless decides on copies itself: the provisioner must say nothing."
  }
}

run "lets_named_clients_in_at_the_port_of_iam" {
  command = plan

  assert {
    condition     = aws_vpc_security_group_ingress_rule.clients["nodes"].from_port == 9098 && aws_vpc_security_group_ingress_rule.clients["nodes"].to_port == 9098 && aws_vpc_security_group_ingress_rule.clients["nodes"].referenced_security_group_id == "sg-nodes"
    error_message = "Only the named group may reach the brokers, at 9098."
  }
}

run "has_three_brokers" {
  command = plan
  variables { type = "Provisioned" }

  assert {
    condition     = aws_msk_cluster.this[0].number_of_broker_nodes == 3 && output.replication_factor == 3
    error_message = "A record is kept by three brokers."
  }

  assert {
    condition     = aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].client_broker == "TLS" && aws_msk_cluster.this[0].encryption_info[0].encryption_in_transit[0].in_cluster
    error_message = "Nothing may travel in plain text."
  }

  assert {
    condition     = aws_msk_cluster.this[0].client_authentication[0].sasl[0].iam && !aws_msk_cluster.this[0].client_authentication[0].unauthenticated
    error_message = "Clients must come with IAM."
  }

  assert {
    condition     = aws_msk_cluster.this[0].broker_node_group_info[0].connectivity_info[0].public_access[0].type == "DISABLED"
    error_message = "Brokers are never public."
  }

  assert {
    condition = alltrue([
      for line in ["min.insync.replicas=2", "default.replication.factor=3", "unclean.leader.election.enable=false", "auto.create.topics.enable=false"] :
      contains(split("\n", aws_msk_configuration.this[0].server_properties), line)
    ])
    error_message = "What is acknowledged must be on two brokers: ${aws_msk_configuration.this[0].server_properties}"
  }

  assert {
    condition     = aws_appautoscaling_policy.storage[0].target_tracking_scaling_policy_configuration[0].disable_scale_in
    error_message = "Volumes cannot shrink."
  }
}

run "says_where_the_brokers_are" {
  command = apply
  variables { type = "Provisioned" }

  assert {
    condition     = length(output.bootstrap_servers) > 0 && alltrue([for server in output.bootstrap_servers : length(server) > 0])
    error_message = "Clients need addresses."
  }
}

run "refuses_a_long_name" {
  command = plan
  variables { name = "purchases-of-the-shop-in-the-environment-for-development-of-new-things" }
  expect_failures = [var.name]
}

run "refuses_another_type" {
  command = plan
  variables { type = "serverless" }
  expect_failures = [var.type]
}

run "refuses_two_subnets_for_three_brokers" {
  command = plan

  variables {
    type       = "Provisioned"
    subnet_ids = ["subnet-a", "subnet-b"]
  }

  expect_failures = [var.subnet_ids]
}

run "refuses_brokers_that_nobody_reaches" {
  command = plan
  variables { client_security_group_ids = {} }
  expect_failures = [var.client_security_group_ids]
}

run "refuses_clients_by_names_that_no_rule_takes" {
  command = plan
  variables { client_security_group_ids = { "the cluster's nodes" = "sg-nodes" } }
  expect_failures = [var.client_security_group_ids]
}

run "refuses_an_instance_that_is_no_broker" {
  command = plan
  variables { broker = { instance_type = "m7g.large" } }
  expect_failures = [var.broker]
}

run "refuses_a_volume_larger_than_its_limit" {
  command = plan
  variables { broker = { volume_gib = 1000 } }
  expect_failures = [var.broker]
}

run "refuses_days_that_cloudwatch_does_not_take" {
  command = plan
  variables { log_retention_days = 31 }
  expect_failures = [var.log_retention_days]
}
