# Values that AWS would refuse late, or that would open a role to others, are refused at once.
variables {
  name         = "shop-dev"
  pipeline     = "purchase-orders"
  namespace    = "shop"
  cluster_name = "shop-dev"

  table = {
    arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
  }

  lake = {
    bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
    silver_bucket_arn = "arn:aws:s3:::shop-dev-silver"
    gold_bucket_arn   = "arn:aws:s3:::shop-dev-gold"
  }
}

run "a_name_over_the_limit_of_roles" {
  command = plan

  variables {
    name = "shop-with-a-name-that-is-much-too-long-for-roles-of-iam"
  }

  expect_failures = [var.name]
}

run "a_pipeline_that_is_no_name" {
  command = plan

  variables {
    pipeline = "Purchase_Orders"
  }

  expect_failures = [var.pipeline]
}

run "any_namespace" {
  command = plan

  variables {
    namespace = "*"
  }

  expect_failures = [var.namespace]
}

run "a_worker_that_is_none" {
  command = plan

  variables {
    service_accounts = { airflow = "airflow" }
  }

  expect_failures = [var.service_accounts]
}

run "any_service_account" {
  command = plan

  variables {
    service_accounts = { loader = "*" }
  }

  expect_failures = [var.service_accounts]
}

run "an_account_of_two_workers" {
  command = plan

  variables {
    service_accounts = { loader = "medallion", exporter = "medallion" }
  }

  expect_failures = [var.service_accounts]
}

run "a_cluster_that_is_no_name" {
  command = plan

  variables {
    cluster_name = "shop/dev"
  }

  expect_failures = [var.cluster_name]
}

run "a_mode_that_is_none" {
  command = plan

  variables {
    mode = "InstanceProfile"
  }

  expect_failures = [var.mode]
}

run "irsa_without_a_provider" {
  command = plan

  variables {
    mode = "Irsa"
  }

  expect_failures = [var.mode]
}

run "a_provider_that_is_none" {
  command = plan

  variables {
    oidc_provider_arn = "oidc.eks.eu-west-1.amazonaws.com/id/0B7C"
  }

  expect_failures = [var.oidc_provider_arn]
}

run "any_cluster_of_kafka" {
  command = plan

  variables {
    kafka = { cluster_arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/*/*", topic = "orders", dead_letter_topic = "dlq.orders" }
  }

  expect_failures = [var.kafka]
}

run "any_topic" {
  command = plan

  variables {
    kafka = { cluster_arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/shop/1", topic = "*", dead_letter_topic = "dlq.orders" }
  }

  expect_failures = [var.kafka]
}

run "any_group" {
  command = plan

  variables {
    kafka = { cluster_arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/shop/1", topic = "orders", dead_letter_topic = "dlq.orders", consumer_group = "*" }
  }

  expect_failures = [var.kafka]
}

run "any_table" {
  command = plan

  variables {
    table = { arn = "arn:aws:dynamodb:eu-west-1:123456789012:table/*" }
  }

  expect_failures = [var.table]
}

run "any_bucket" {
  command = plan

  variables {
    lake = {
      bronze_bucket_arn = "arn:aws:s3:::*"
      silver_bucket_arn = "arn:aws:s3:::shop-dev-silver"
      gold_bucket_arn   = "arn:aws:s3:::shop-dev-gold"
    }
  }

  expect_failures = [var.lake]
}

run "a_key_by_its_alias" {
  command = plan

  variables {
    lake = {
      bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
      silver_bucket_arn = "arn:aws:s3:::shop-dev-silver"
      gold_bucket_arn   = "arn:aws:s3:::shop-dev-gold"
      kms_key_arns      = ["arn:aws:kms:eu-west-1:123456789012:alias/lake"]
    }
  }

  expect_failures = [var.lake]
}

run "a_warehouse_of_another_kind" {
  command = plan

  variables {
    warehouse = { type = "Snowflake" }
  }

  expect_failures = [var.warehouse]
}

run "serverless_without_its_workgroup" {
  command = plan

  variables {
    warehouse = { type = "Serverless" }
  }

  expect_failures = [var.warehouse]
}

run "a_cluster_without_its_database" {
  command = plan

  variables {
    warehouse = { type = "Cluster", cluster_identifier = "shop" }
  }

  expect_failures = [var.warehouse]
}

run "something_else_to_make" {
  command = plan

  variables {
    provisioner_creates = ["roles"]
  }

  expect_failures = [var.provisioner_creates]
}

run "topics_without_iam_at_the_brokers" {
  command = plan

  variables {
    provisioner_creates = ["topics"]
  }

  expect_failures = [var.provisioner_creates]
}

run "a_database_by_wildcard" {
  command = plan

  variables {
    catalog = { database = "shop_*" }
  }

  expect_failures = [var.catalog]
}
