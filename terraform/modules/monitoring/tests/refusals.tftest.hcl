# Values that would make an alarm that never or always fires, or that AWS would refuse late, are refused at once.
variables {
  name        = "shop-dev"
  pipeline    = "purchase-orders"
  namespace   = "shop"
  topic_arn   = "arn:aws:sns:eu-west-1:123456789012:shop-dev-alerts"
  alarm_pages = "https://git.example.com/data/medallion/blob/main/docs/alarms.md"
  table_name  = "purchase_orders"
}

run "a_name_with_other_letters" {
  command = plan

  variables {
    name = "shop dev"
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

run "a_namespace_that_is_none" {
  command = plan

  variables {
    namespace = "*"
  }

  expect_failures = [var.namespace]
}

run "a_topic_by_its_name" {
  command = plan

  variables {
    topic_arn = "shop-dev-alerts"
  }

  expect_failures = [var.topic_arn]
}

run "pages_without_an_address" {
  command = plan

  variables {
    alarm_pages = "docs/alarms.md"
  }

  expect_failures = [var.alarm_pages]
}

run "a_table_that_is_no_name" {
  command = plan

  variables {
    table_name = "a"
  }

  expect_failures = [var.table_name]
}

run "a_kafka_of_another_kind" {
  command = plan

  variables {
    kafka = { type = "Express", cluster_name = "shop", topic = "orders" }
  }

  expect_failures = [var.kafka]
}

run "a_cluster_without_brokers" {
  command = plan

  variables {
    kafka = { type = "Provisioned", cluster_name = "shop", topic = "orders", brokers = 0 }
  }

  expect_failures = [var.kafka]
}

run "a_warehouse_of_another_kind" {
  command = plan

  variables {
    warehouse = { type = "Provisioned", usage_limit_id = "1", usage_limit_amount = 1 }
  }

  expect_failures = [var.warehouse]
}

run "logs_of_a_function_that_is_none" {
  command = plan

  variables {
    function_log_groups = { loader = "/aws/lambda/loader" }
  }

  expect_failures = [var.function_log_groups]
}

run "the_age_of_a_stage_that_is_none" {
  command = plan

  variables {
    limits = { age_seconds = { platinum = 600 } }
  }

  expect_failures = [var.limits]
}

run "an_age_that_always_is" {
  command = plan

  variables {
    limits = { age_seconds = { gold = 0 } }
  }

  expect_failures = [var.limits]
}

run "a_lag_that_the_stream_does_not_keep" {
  command = plan

  variables {
    limits = { stream_lag_seconds = 90000 }
  }

  expect_failures = [var.limits]
}

run "less_than_no_dead_letters" {
  command = plan

  variables {
    limits = { dead_letters = -1 }
  }

  expect_failures = [var.limits]
}

run "told_when_it_is_too_late" {
  command = plan

  variables {
    limits = { retention_used_percent = 99 }
  }

  expect_failures = [var.limits]
}

run "a_band_without_width" {
  command = plan

  variables {
    limits = { event_rate_deviations = 0 }
  }

  expect_failures = [var.limits]
}

run "days_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "an_agent_by_a_wildcard" {
  command = plan

  variables {
    agent = { cluster_name = "shop-dev", service_account = "*" }
  }

  expect_failures = [var.agent]
}
