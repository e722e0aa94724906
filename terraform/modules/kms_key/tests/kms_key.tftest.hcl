variables {
  name        = "shop-dev-lake"
  description = "Lake"
  services    = ["s3"]
}

run "rotates_yearly_and_is_deleted_slowly" {
  command = plan

  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.rotation_period_in_days == 365
    error_message = "The key must rotate every year."
  }

  assert {
    condition     = aws_kms_key.this.deletion_window_in_days == 30
    error_message = "A key that is deleted takes the data with it: the longest delay is the default."
  }
}

run "is_of_use_through_its_services_alone" {
  command = apply

  assert {
    condition     = jsondecode(output.policy).Statement[1].Condition.StringEquals["kms:ViaService"] == ["s3.eu-west-1.amazonaws.com"]
    error_message = "Decrypting must be allowed through S3 alone: ${output.policy}"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policy).Statement : alltrue([for action in statement.Action : !strcontains(action, "*")])])
    error_message = "No action may have a wildcard: ${output.policy}"
  }
}

run "lets_a_service_use_it_in_its_own_name" {
  command = apply

  variables {
    service_principals = [{
      principal  = "cloudwatch.amazonaws.com"
      actions    = ["kms:Decrypt", "kms:GenerateDataKey"]
      conditions = { StringEquals = { "aws:SourceAccount" = ["123456789012"] } }
    }]
  }

  assert {
    condition     = jsondecode(output.policy).Statement[3].Principal.Service == "cloudwatch.amazonaws.com"
    error_message = "The service is missing: ${output.policy}"
  }

  assert {
    condition     = jsondecode(output.policy).Statement[3].Condition.StringEquals["aws:SourceAccount"] == ["123456789012"]
    error_message = "The service's condition is missing: ${output.policy}"
  }
}

run "refuses_an_alias_of_amazon" {
  command = plan
  variables { name = "aws/s3" }
  expect_failures = [var.name]
}

run "refuses_no_services" {
  command = plan
  variables { services = [] }
  expect_failures = [var.services]
}

run "refuses_wildcard_actions" {
  command = plan
  variables { service_principals = [{ principal = "sns.amazonaws.com", actions = ["kms:GenerateDataKey*"] }] }
  expect_failures = [var.service_principals]
}

run "refuses_a_hasty_deletion" {
  command = plan
  variables { deletion_window_days = 3 }
  expect_failures = [var.deletion_window_days]
}
