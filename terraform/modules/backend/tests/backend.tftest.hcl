variables {
  bucket_name = "shop-terraform-123456789012"
}

run "locks_by_a_file_beside_the_state" {
  command = apply

  assert {
    condition     = strcontains(output.backend_config, "use_lockfile = true") && !strcontains(output.backend_config, "dynamodb_table")
    error_message = "By default S3 locks: ${output.backend_config}"
  }

  assert {
    condition     = output.lock_table == null && length(aws_dynamodb_table.lock) == 0
    error_message = "Nobody needs a table then."
  }

  assert {
    condition     = strcontains(output.backend_config, "bucket     = \"shop-terraform-123456789012\"") && strcontains(output.backend_config, "encrypt    = true")
    error_message = "The configuration must name bucket and encryption: ${output.backend_config}"
  }
}

run "locks_by_a_table_for_older_terraform" {
  command = apply
  variables { lock = "DynamoDB" }

  assert {
    condition     = !strcontains(output.backend_config, "use_lockfile") && strcontains(output.backend_config, "dynamodb_table = \"shop-terraform-123456789012-lock\"")
    error_message = "The table must lock alone: ${output.backend_config}"
  }

  assert {
    condition     = aws_dynamodb_table.lock[0].hash_key == "LockID" && aws_dynamodb_table.lock[0].deletion_protection_enabled
    error_message = "Terraform looks for locks by LockID."
  }
}

run "locks_by_both_while_changing" {
  command = apply
  variables { lock = "Both" }

  assert {
    condition     = strcontains(output.backend_config, "use_lockfile = true") && strcontains(output.backend_config, "dynamodb_table")
    error_message = "Old and new must see each other's locks: ${output.backend_config}"
  }
}

run "refuses_a_long_name" {
  command = plan
  variables { bucket_name = "the-terraform-states-of-all-environments-of-the-shop-123456789012" }
  expect_failures = [var.bucket_name]
}

run "refuses_other_locks" {
  command = plan
  variables { lock = "None" }
  expect_failures = [var.lock]
}

run "refuses_to_forget_states_at_once" {
  command = plan
  variables { noncurrent_days = 7 }
  expect_failures = [var.noncurrent_days]
}
