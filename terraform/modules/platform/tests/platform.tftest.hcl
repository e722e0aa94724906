variables {
  name        = "shop"
  environment = "dev"
  network     = { availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"] }
  alerts      = { alarm_pages = "https://git.example.com/medallion/docs/alarms.md", emails = ["data-team@example.com"] }
}

run "tells_all_that_helm_and_the_pipeline_need" {
  command = apply

  assert {
    condition     = output.medallion.schema_version == 1 && output.medallion.name == "shop-dev" && output.medallion.account == "123456789012"
    error_message = "The environment does not say who it is."
  }

  assert {
    condition     = output.medallion.kafka.authentication == "MskIam" && output.medallion.kafka.tls && output.medallion.kafka.dead_letter_topic == "dlq.purchase_orders" && output.medallion.kafka.replication_factor == null
    error_message = "Kafka is told otherwise: ${jsonencode(output.medallion.kafka)}"
  }

  assert {
    condition     = output.medallion.table.name == "shop-dev-purchase_orders" && output.medallion.table.ttl_attribute == null
    error_message = "The table is told otherwise: ${jsonencode(output.medallion.table)}"
  }

  assert {
    condition     = output.medallion.lake.gold == "shop-dev-gold-123456789012"
    error_message = "The lake is told otherwise: ${jsonencode(output.medallion.lake)}"
  }

  assert {
    condition     = output.medallion.warehouse.type == "Serverless" && output.medallion.warehouse.workgroup_name != null && output.medallion.warehouse.cluster_identifier == null
    error_message = "The warehouse is told otherwise: ${jsonencode(output.medallion.warehouse)}"
  }

  assert {
    condition     = toset(keys(output.medallion.identities)) == toset(["provisioner", "gateway", "consumer", "exporter", "dbt-runner", "loader", "cataloger"]) && output.medallion.identities["loader"].service_account == "purchase-orders-loader"
    error_message = "Each worker has an identity of its own: ${jsonencode(output.medallion.identities)}"
  }

  assert {
    condition     = output.medallion.images.repositories["dbt-purchases"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev/dbt-purchases"
    error_message = "The images are told otherwise: ${jsonencode(output.medallion.images)}"
  }

  assert {
    condition     = output.medallion.lambda == null && output.medallion.catalog.type == "Glue"
    error_message = "Functions are made on wish, the catalog unless it is declined."
  }
}

run "keeps_to_least_rights" {
  command = apply

  assert {
    condition = alltrue(flatten([
      for worker, policy in output.policies.workers : [
        for statement in jsondecode(policy).Statement : [for action in flatten([statement.Action]) : !strcontains(action, "*")]
      ]
    ]))
    error_message = "A worker may do more than is named: ${jsonencode(output.policies.workers)}"
  }

  assert {
    condition     = strcontains(output.policies.workers["exporter"], "arn:aws:s3:::shop-dev-bronze-123456789012") && !strcontains(output.policies.workers["exporter"], "gold")
    error_message = "The exporter writes Bronze alone: ${output.policies.workers["exporter"]}"
  }
}

run "works_in_what_is_there" {
  command = apply

  variables {
    network = {
      existing = {
        vpc_id                  = "vpc-there"
        cidr_block              = "10.0.0.0/16"
        private_subnet_ids      = ["subnet-1", "subnet-2", "subnet-3"]
        private_route_table_ids = ["rtb-1"]
      }
    }
    cluster = {
      existing = {
        name              = "company"
        endpoint          = "https://company.example"
        security_group_id = "sg-company"
        oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0A1B2C"
        oidc_issuer       = "oidc.eks.eu-west-1.amazonaws.com/id/0A1B2C"
      }
      identities = "Irsa"
    }
  }

  assert {
    condition     = output.medallion.cluster.name == "company" && output.medallion.identities["consumer"].mode == "Irsa"
    error_message = "The given cluster must be used: ${jsonencode(output.medallion.cluster)}"
  }

  assert {
    condition     = strcontains(output.policies.trust["consumer"], "system:serviceaccount:shop:purchase-orders-consumer")
    error_message = "A role is one account's in one namespace: ${output.policies.trust["consumer"]}"
  }
}

run "ends_at_gold_on_wish" {
  command = apply

  variables {
    warehouse = null
    catalog   = null
  }

  assert {
    condition     = output.medallion.warehouse == null && output.medallion.catalog == null && !contains(keys(output.medallion.identities), "loader")
    error_message = "What was declined may not be there."
  }
}

run "is_built_of_provisioned_parts" {
  command = apply

  variables {
    kafka     = { type = "Provisioned" }
    table     = { capacity = { mode = "Provisioned", read = { min = 5, max = 50 }, write = { min = 5, max = 50 } }, expire_days = 30 }
    warehouse = { type = "Cluster", usage_limit = { amount = 60, action = "disable" } }
  }

  assert {
    condition     = output.medallion.kafka.replication_factor == 3 && output.medallion.warehouse.cluster_identifier != null && output.medallion.warehouse.workgroup_name == null
    error_message = "The provisioned parts are told otherwise: ${jsonencode(output.medallion.warehouse)}"
  }

  assert {
    condition     = output.medallion.table.ttl_attribute == "expires_at" && output.medallion.table.expire_days == 30
    error_message = "A table that forgets must say so: ${jsonencode(output.medallion.table)}"
  }
}

run "wakes_people_when_they_wish" {
  command = apply

  variables {
    alerts = {
      alarm_pages = "https://git.example.com/medallion/docs/alarms.md"
      limits      = { age_seconds = { silver = 7200 } }
    }
  }

  assert {
    condition     = [for alarm in keys(output.alarms) : alarm if startswith(alarm, "StageAge-")] == ["StageAge-silver"]
    error_message = "What is said of a stage's age must count: ${jsonencode(keys(output.alarms))}"
  }
}

run "takes_events_by_a_function" {
  command = apply

  variables {
    functions = {
      gateway  = { package = "main.tf", authorization = "AWS_IAM" }
      exporter = { package = "main.tf" }
    }
  }

  assert {
    condition     = endswith(output.medallion.lambda.gateway.url, "/v1/events") && output.medallion.lambda.exporter.function_name != null
    error_message = "The functions are told otherwise: ${jsonencode(output.medallion.lambda)}"
  }

  assert {
    condition     = !contains(keys(output.medallion.identities), "gateway")
    error_message = "No pod needs the gateway's role then."
  }
}

run "refuses_a_long_name" {
  command = plan
  variables { name = "the-purchases-of-the-shop" }
  expect_failures = [var.name]
}

run "refuses_a_long_environment" {
  command = plan
  variables { environment = "development" }
  expect_failures = [var.environment]
}

run "refuses_a_topic_that_kafka_does_not_take" {
  command = plan
  variables { pipeline = { topic = "purchase orders" } }
  expect_failures = [var.pipeline]
}

run "refuses_a_topic_without_partitions" {
  command = plan
  variables { pipeline = { partitions = 0 } }
  expect_failures = [var.pipeline]
}

run "refuses_a_dbt_project_that_is_no_name" {
  command = plan
  variables { pipeline = { dbt_project = "Purchases" } }
  expect_failures = [var.pipeline]
}

run "refuses_other_identities" {
  command = plan
  variables { cluster = { identities = "Keys" } }
  expect_failures = [var.cluster]
}

run "refuses_a_cluster_in_another_network" {
  command = plan
  variables { cluster = { existing = { name = "company", endpoint = "https://company.example", security_group_id = "sg-company" } } }
  expect_failures = [var.cluster]
}

run "refuses_days_that_cloudwatch_does_not_take" {
  command = plan
  variables { log_retention_days = 31 }
  expect_failures = [var.log_retention_days]
}

run "refuses_items_that_expire_before_bronze_has_them" {
  command = plan
  variables { table = { expire_days = 1 } }
  expect_failures = [var.table]
}
