variables {
  name        = "shop-dev-bronze-123456789012"
  kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
}

run "is_closed_versioned_and_encrypted" {
  command = plan

  assert {
    condition = alltrue([
      aws_s3_bucket_public_access_block.this.block_public_acls, aws_s3_bucket_public_access_block.this.block_public_policy,
      aws_s3_bucket_public_access_block.this.ignore_public_acls, aws_s3_bucket_public_access_block.this.restrict_public_buckets,
    ])
    error_message = "All four blocks of public access must be on."
  }

  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "Without versions nothing can be brought back."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "Objects must be encrypted with the given key, by bucket keys."
  }

  assert {
    condition     = aws_s3_bucket_ownership_controls.this.rule[0].object_ownership == "BucketOwnerEnforced"
    error_message = "The bucket's owner must own all objects."
  }
}

run "outlives_by_no_moment_what_decrypts_it" {
  command = apply

  assert {
    condition     = terraform_data.key.output == "arn:aws:kms:eu-west-1:123456789012:key/11111111-2222-3333-4444-555555555555"
    error_message = "The bucket, which waits for this, must be made after its key and be destroyed before it."
  }
}

run "keeps_current_objects_for_ever" {
  command = plan

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].expired_object_delete_marker
    error_message = "Without expire_days only marks of deletions may go."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].noncurrent_version_expiration[0].noncurrent_days == 30 && aws_s3_bucket_lifecycle_configuration.this.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "Old versions go after 30 days, uploads that were given up after 7."
  }
}

run "refuses_what_is_not_tls" {
  command = apply

  assert {
    condition = length([
      for statement in jsondecode(output.policy).Statement : statement
      if statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false" && length(statement.Resource) == 2
    ]) == 1
    error_message = "Plain HTTP must be refused on the bucket and its objects: ${output.policy}"
  }

  assert {
    condition     = length([for statement in jsondecode(output.policy).Statement : statement if statement.Effect == "Allow"]) == 0
    error_message = "A bucket's policy gives nobody a right: ${output.policy}"
  }

  assert {
    condition     = !strcontains(output.policy, "if-none-match")
    error_message = "Only buckets with tables demand conditional writes: ${output.policy}"
  }
}

run "demands_conditional_writes_of_log_entries" {
  command = apply
  variables { protect_delta_log = true }

  assert {
    condition = [
      for statement in jsondecode(output.policy).Statement : statement if statement.Sid == "RefuseOverwritingLogEntries"
      ] == [{
        Sid       = "RefuseOverwritingLogEntries"
        Effect    = "Deny"
        Principal = { AWS = "*" }
        Action    = "s3:PutObject"
        Resource  = "${output.arn}/*/_delta_log/*.json"
        Condition = { Null = { "s3:if-none-match" = "true" }, Bool = { "s3:ObjectCreationOperation" = "true" } }
    }]
    error_message = "An entry of the log may only be created where none is, and _last_checkpoint must not be meant: ${output.policy}"
  }
}

run "moves_to_cheaper_storage_that_reads_at_once" {
  command = plan
  variables { transition = { days = 90, storage_class = "GLACIER_IR" } }

  assert {
    condition     = one(aws_s3_bucket_lifecycle_configuration.this.rule[0].transition).storage_class == "GLACIER_IR"
    error_message = "The transition is missing."
  }
}

run "expires_logs" {
  command = plan

  variables {
    kms_key_arn      = null
    for_log_delivery = true
    expire_days      = 90
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.this.rule[0].expiration[0].days == 90
    error_message = "Logs must go after their time."
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default).sse_algorithm == "AES256"
    error_message = "Log delivery writes with Amazon's own keys alone."
  }
}

run "writes_an_access_log" {
  command = plan
  variables { access_log_bucket = "shop-dev-logs-123456789012" }

  assert {
    condition     = aws_s3_bucket_logging.this[0].target_prefix == "shop-dev-bronze-123456789012/"
    error_message = "The access log must lie under the bucket's name."
  }
}

run "refuses_a_bucket_without_a_key" {
  command = plan
  variables { kms_key_arn = null }
  expect_failures = [var.kms_key_arn]
}

run "refuses_a_name_over_63_characters" {
  command = plan
  variables { name = "shop-development-environment-of-the-purchases-bronze-123456789012" }
  expect_failures = [var.name]
}

run "refuses_a_name_that_s3_does_not_take" {
  command = plan
  variables { name = "Shop_Bronze" }
  expect_failures = [var.name]
}

run "refuses_to_forget_versions_at_once" {
  command = plan
  variables { noncurrent_days = 1 }
  expect_failures = [var.noncurrent_days]
}

run "refuses_uploads_that_never_end" {
  command = plan
  variables { abort_uploads_days = 365 }
  expect_failures = [var.abort_uploads_days]
}

run "refuses_storage_that_must_be_restored" {
  command = plan
  variables { transition = { days = 90, storage_class = "DEEP_ARCHIVE" } }
  expect_failures = [var.transition]
}

run "refuses_an_early_transition" {
  command = plan
  variables { transition = { days = 7, storage_class = "STANDARD_IA" } }
  expect_failures = [var.transition]
}

run "refuses_to_expire_tables" {
  command = plan

  variables {
    protect_delta_log = true
    expire_days       = 365
  }

  expect_failures = [var.expire_days]
}

run "refuses_expiry_at_once" {
  command = plan
  variables { expire_days = 0 }
  expect_failures = [var.expire_days]
}

run "refuses_statements_that_are_none" {
  command = plan
  variables { policy_statements = "{\"Sid\": \"x\"}" }
  expect_failures = [var.policy_statements]
}
