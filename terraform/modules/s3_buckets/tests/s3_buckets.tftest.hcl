variables {
  prefix = "shop-dev"
  suffix = "123456789012"
}

run "makes_a_bucket_for_each_layer" {
  command = apply

  assert {
    condition     = { for layer, bucket in output.buckets : layer => bucket.name } == { bronze = "shop-dev-bronze-123456789012", silver = "shop-dev-silver-123456789012", gold = "shop-dev-gold-123456789012" }
    error_message = "The layers' buckets are called otherwise: ${jsonencode(output.buckets)}"
  }

  assert {
    condition     = alltrue([for policy in values(output.policies) : strcontains(policy, "s3:if-none-match")])
    error_message = "Every layer must protect its tables' logs."
  }

  assert {
    condition     = output.access_log_bucket == "shop-dev-logs-123456789012"
    error_message = "The log bucket is called otherwise: ${output.access_log_bucket}"
  }
}

run "needs_no_suffix" {
  command = apply
  variables { suffix = null }

  assert {
    condition     = output.buckets["gold"].name == "shop-dev-gold"
    error_message = "Without a suffix the name ends with the layer: ${output.buckets["gold"].name}"
  }
}

run "refuses_a_long_prefix" {
  command = plan
  variables { prefix = "the-purchases-of-the-shop-in-development" }
  expect_failures = [var.prefix]
}

run "refuses_a_long_suffix" {
  command = plan
  variables { suffix = "123456789012-and-so-on" }
  expect_failures = [var.suffix]
}

run "refuses_to_forget_versions_at_once" {
  command = plan
  variables { noncurrent_days = 1 }
  expect_failures = [var.noncurrent_days]
}

run "refuses_access_logs_without_a_day" {
  command = plan
  variables { access_log_days = 0 }
  expect_failures = [var.access_log_days]
}
