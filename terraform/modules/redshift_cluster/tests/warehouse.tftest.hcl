# The warehouse is closed, encrypted, told of in logs and bounded, in both kinds.
variables {
  name       = "shop-dev"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1", "subnet-2", "subnet-3"]

  gold = {
    bucket_arn  = "arn:aws:s3:::shop-dev-gold"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/lake"
  }

  database_users = {
    loader      = "IAMR:shop-dev-loader"
    provisioner = "IAMR:shop-dev-provisioner"
  }
}

run "serverless_is_closed" {
  command = apply

  assert {
    condition     = !aws_redshiftserverless_workgroup.this[0].publicly_accessible && aws_redshiftserverless_workgroup.this[0].enhanced_vpc_routing
    error_message = "it is reached inside of the VPC, and goes no other way"
  }

  assert {
    condition     = contains([for parameter in aws_redshiftserverless_workgroup.this[0].config_parameter : "${parameter.parameter_key}=${parameter.parameter_value}"], "require_ssl=true")
    error_message = "without TLS nobody is answered"
  }

  assert {
    condition     = aws_redshiftserverless_namespace.this[0].manage_admin_password && aws_redshiftserverless_namespace.this[0].kms_key_id == module.key.arn
    error_message = "Redshift keeps the password itself, and all data under our key"
  }

  assert {
    condition     = length(aws_redshiftserverless_namespace.this[0].log_exports) == 3 && length(aws_cloudwatch_log_group.audit) == 3
    error_message = "connections, users and statements are logged"
  }

  assert {
    condition     = aws_redshiftserverless_usage_limit.this[0].amount == 24 && aws_redshiftserverless_usage_limit.this[0].period == "daily"
    error_message = "a day's use is bounded"
  }

  assert {
    condition     = length(aws_vpc_security_group_ingress_rule.client) == 0
    error_message = "the pipeline speaks to the Data API, so nobody needs the port"
  }

  assert {
    condition     = length(aws_redshift_cluster.this) == 0 && output.cluster_identifier == null && output.workgroup_name == "shop-dev"
    error_message = "there is one warehouse"
  }
}

run "a_cluster_is_closed_too" {
  command = apply

  variables {
    type                      = "Cluster"
    cluster                   = { node_type = "ra3.xlplus", nodes = 3 }
    usage_limit               = { amount = 60, action = "disable" }
    client_security_group_ids = { power-bi = "sg-1" }
  }

  assert {
    condition     = !aws_redshift_cluster.this[0].publicly_accessible && aws_redshift_cluster.this[0].enhanced_vpc_routing && tobool(aws_redshift_cluster.this[0].encrypted)
    error_message = "closed and encrypted"
  }

  assert {
    condition     = aws_redshift_cluster.this[0].node_type == "ra3.xlplus" && aws_redshift_cluster.this[0].number_of_nodes == 3
    error_message = "nodes as they are wanted"
  }

  assert {
    condition     = contains([for parameter in aws_redshift_parameter_group.this[0].parameter : "${parameter.name}=${parameter.value}"], "require_ssl=true") && aws_redshift_cluster.this[0].cluster_parameter_group_name == "shop-dev"
    error_message = "without TLS nobody is answered"
  }

  assert {
    condition     = aws_redshift_cluster.this[0].manage_master_password && aws_redshift_cluster.this[0].final_snapshot_identifier == "shop-dev-last"
    error_message = "the password is Redshift's, and the end leaves a snapshot"
  }

  assert {
    condition     = aws_redshift_logging.this[0].log_destination_type == "cloudwatch" && aws_redshift_usage_limit.this[0].breach_action == "disable"
    error_message = "logged and bounded"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.client["power-bi"].from_port == 5439
    error_message = "Power BI's gateway reaches it"
  }

  assert {
    condition     = strcontains(aws_iam_role.copy.assume_role_policy, ":dbuser:shop-dev/*")
    error_message = "COPY's role is of this cluster's users alone: ${aws_iam_role.copy.assume_role_policy}"
  }
}

run "copy_reads_gold" {
  command = apply

  assert {
    condition     = toset(flatten([for statement in jsondecode(output.copy_policy).Statement : statement.Action])) == toset(["kms:Decrypt", "s3:GetObject", "s3:ListBucket"])
    error_message = "and does nothing else: ${output.copy_policy}"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.copy_policy).Statement : alltrue([for resource in statement.Resource : strcontains(resource, "shop-dev-gold") || strcontains(resource, "key/lake")])])
    error_message = "of nothing else: ${output.copy_policy}"
  }

  assert {
    condition     = strcontains(aws_iam_role.copy.assume_role_policy, ":dbuser:serverless-123456789012-*/*")
    error_message = "for users of this account's workgroups: ${aws_iam_role.copy.assume_role_policy}"
  }
}

run "readers_read_gold_and_nothing_else" {
  command = apply

  assert {
    condition     = contains(output.setup_sql, "GRANT SELECT ON ALL TABLES IN SCHEMA \"gold\" TO ROLE medallion_reader")
    error_message = "Gold is read"
  }

  assert {
    condition     = contains(output.setup_sql, "ALTER DEFAULT PRIVILEGES FOR USER \"IAMR:shop-dev-loader\" IN SCHEMA \"gold\" GRANT SELECT ON TABLES TO ROLE medallion_reader")
    error_message = "so are tables to come: ${join("; ", output.setup_sql)}"
  }

  assert {
    condition     = alltrue([for statement in output.setup_sql : !(strcontains(statement, "medallion_reader") && anytrue([for right in ["INSERT", "UPDATE", "DELETE", "ALL PRIVILEGES", "GRANT USAGE, CREATE"] : strcontains(statement, right)]))])
    error_message = "nothing is written: ${join("; ", output.setup_sql)}"
  }

  assert {
    condition     = contains(output.setup_sql, "REVOKE CREATE ON SCHEMA public FROM PUBLIC")
    error_message = "nor made beside it"
  }
}
