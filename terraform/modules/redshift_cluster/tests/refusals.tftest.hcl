# Values that AWS would refuse late are refused at once.
variables {
  name       = "shop-dev"
  vpc_id     = "vpc-1"
  subnet_ids = ["subnet-1", "subnet-2", "subnet-3"]

  gold = {
    bucket_arn  = "arn:aws:s3:::shop-dev-gold"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/lake"
  }
}

run "a_name_with_other_letters" {
  command = plan

  variables {
    name = "Shop_Dev"
  }

  expect_failures = [var.name]
}

run "a_client_by_a_name_that_no_rule_takes" {
  command = plan

  variables {
    client_security_group_ids = { "the analysts' gateway" = "sg-1" }
  }

  expect_failures = [var.client_security_group_ids]
}

run "a_kind_that_is_none" {
  command = plan

  variables {
    type = "Provisioned"
  }

  expect_failures = [var.type]
}

run "capacity_between_the_steps" {
  command = plan

  variables {
    serverless = { base_rpu = 12 }
  }

  expect_failures = [var.serverless]
}

run "less_at_most_than_at_least" {
  command = plan

  variables {
    serverless = { base_rpu = 64, max_rpu = 32 }
  }

  expect_failures = [var.serverless]
}

run "nodes_of_a_kind_that_is_none" {
  command = plan

  variables {
    cluster = { node_type = "dc2.large", nodes = 2 }
  }

  expect_failures = [var.cluster]
}

run "a_single_node" {
  command = plan

  variables {
    cluster = { node_type = "ra3.large", nodes = 1 }
  }

  expect_failures = [var.cluster]
}

run "more_nodes_than_there_may_be" {
  command = plan

  variables {
    cluster = { node_type = "ra3.xlplus", nodes = 32 }
  }

  expect_failures = [var.cluster]
}

run "a_database_of_redshifts_own" {
  command = plan

  variables {
    database = "template1"
  }

  expect_failures = [var.database]
}

run "a_schema_of_redshifts_own" {
  command = plan

  variables {
    schema = "pg_gold"
  }

  expect_failures = [var.schema]
}

run "a_schema_that_needs_quotes" {
  command = plan

  variables {
    schema = "gold; drop"
  }

  expect_failures = [var.schema]
}

run "two_zones_for_serverless" {
  command = plan

  variables {
    subnet_ids = ["subnet-1", "subnet-2"]
  }

  expect_failures = [var.subnet_ids]
}

run "a_subnet_twice" {
  command = plan

  variables {
    subnet_ids = ["subnet-1", "subnet-2", "subnet-2"]
  }

  expect_failures = [var.subnet_ids]
}

run "any_bucket" {
  command = plan

  variables {
    gold = { bucket_arn = "arn:aws:s3:::*", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/lake" }
  }

  expect_failures = [var.gold]
}

run "no_use_at_all" {
  command = plan

  variables {
    usage_limit = { amount = 0 }
  }

  expect_failures = [var.usage_limit]
}

run "a_period_that_is_none" {
  command = plan

  variables {
    usage_limit = { amount = 8, period = "hourly" }
  }

  expect_failures = [var.usage_limit]
}

run "an_action_of_clusters" {
  command = plan

  variables {
    usage_limit = { amount = 8, action = "disable" }
  }

  expect_failures = [var.usage_limit]
}

run "days_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "no_snapshots" {
  command = plan

  variables {
    snapshot_retention_days = 0
  }

  expect_failures = [var.snapshot_retention_days]
}

run "a_user_of_another_worker" {
  command = plan

  variables {
    database_users = { gateway = "IAMR:shop-dev-gateway" }
  }

  expect_failures = [var.database_users]
}

run "a_user_that_is_no_role" {
  command = plan

  variables {
    database_users = { loader = "admin" }
  }

  expect_failures = [var.database_users]
}

run "a_role_that_needs_quotes" {
  command = plan

  variables {
    reader_role = "Power BI"
  }

  expect_failures = [var.reader_role]
}
