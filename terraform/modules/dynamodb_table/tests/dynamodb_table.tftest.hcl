variables {
  name     = "purchase_orders"
  key_name = "shop-dev-table"
}

run "is_as_the_workers_want_it" {
  command = plan

  assert {
    condition     = aws_dynamodb_table.this.hash_key == "key" && aws_dynamodb_table.this.range_key == "event_id"
    error_message = "The consumer writes by key and event_id."
  }

  assert {
    condition     = aws_dynamodb_table.this.stream_enabled && aws_dynamodb_table.this.stream_view_type == "NEW_IMAGE"
    error_message = "The exporter reads new images."
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PAY_PER_REQUEST" && length(aws_appautoscaling_target.this) == 0
    error_message = "On demand there is nothing to scale."
  }

  assert {
    condition     = aws_dynamodb_table.this.deletion_protection_enabled && aws_dynamodb_table.this.point_in_time_recovery[0].enabled && aws_dynamodb_table.this.server_side_encryption[0].enabled
    error_message = "The table must be protected, restorable, and encrypted."
  }

  assert {
    condition     = length(aws_dynamodb_table.this.ttl) == 0
    error_message = "Items stay unless an attribute is named."
  }
}

run "forgets_items_on_wish" {
  command = plan
  variables { ttl_attribute = "expires_at" }

  assert {
    condition     = aws_dynamodb_table.this.ttl[0].enabled && aws_dynamodb_table.this.ttl[0].attribute_name == "expires_at"
    error_message = "The time to live is not on."
  }
}

run "scales_what_is_provisioned" {
  command = plan

  variables {
    capacity = {
      mode  = "Provisioned"
      read  = { min = 5, max = 100 }
      write = { min = 20, max = 2000, target_percent = 60 }
    }
  }

  assert {
    condition     = aws_dynamodb_table.this.billing_mode == "PROVISIONED" && aws_dynamodb_table.this.read_capacity == 5 && aws_dynamodb_table.this.write_capacity == 20
    error_message = "The table must begin at min."
  }

  assert {
    condition     = aws_appautoscaling_target.this["Write"].scalable_dimension == "dynamodb:table:WriteCapacityUnits" && aws_appautoscaling_target.this["Write"].max_capacity == 2000
    error_message = "Writes must scale up to max."
  }

  assert {
    condition     = aws_appautoscaling_policy.this["Write"].target_tracking_scaling_policy_configuration[0].target_value == 60 && aws_appautoscaling_policy.this["Read"].target_tracking_scaling_policy_configuration[0].target_value == 70
    error_message = "The targets are others."
  }

  assert {
    condition     = aws_appautoscaling_policy.this["Read"].target_tracking_scaling_policy_configuration[0].predefined_metric_specification[0].predefined_metric_type == "DynamoDBReadCapacityUtilization"
    error_message = "Reads must be scaled by the use of reads."
  }
}

run "has_a_stream_to_read" {
  command = apply

  assert {
    condition     = strcontains(output.stream_arn, ":table/purchase_orders/stream/")
    error_message = "The stream's ARN is missing: ${output.stream_arn}"
  }
}

run "refuses_a_name_that_dynamodb_does_not_take" {
  command = plan
  variables { name = "purchase orders" }
  expect_failures = [var.name]
}

run "refuses_another_mode" {
  command = plan
  variables { capacity = { mode = "PAY_PER_REQUEST" } }
  expect_failures = [var.capacity]
}

run "refuses_provisioned_without_units" {
  command = plan
  variables { capacity = { mode = "Provisioned", read = { min = 1, max = 2 } } }
  expect_failures = [var.capacity]
}

run "refuses_units_on_demand" {
  command = plan
  variables { capacity = { mode = "OnDemand", read = { min = 1, max = 2 } } }
  expect_failures = [var.capacity]
}

run "refuses_max_below_min" {
  command = plan
  variables { capacity = { mode = "Provisioned", read = { min = 9, max = 2 }, write = { min = 1, max = 2 } } }
  expect_failures = [var.capacity]
}

run "refuses_a_target_that_autoscaling_does_not_take" {
  command = plan
  variables { capacity = { mode = "Provisioned", read = { min = 1, max = 2 }, write = { min = 1, max = 2, target_percent = 95 } } }
  expect_failures = [var.capacity]
}

run "refuses_an_empty_attribute" {
  command = plan
  variables { ttl_attribute = "" }
  expect_failures = [var.ttl_attribute]
}

run "refuses_recovery_beyond_35_days" {
  command = plan
  variables { recovery_days = 90 }
  expect_failures = [var.recovery_days]
}
