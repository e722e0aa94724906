variables {
  account_id = "123456789012"
}

run "says_where_states_are_kept" {
  command = apply

  assert {
    condition     = output.bucket == "shop-terraform-123456789012" && strcontains(output.backend_config, output.bucket)
    error_message = "The bucket is called otherwise: ${output.bucket}"
  }
}

run "refuses_an_account_that_is_none" {
  command = plan
  variables { account_id = "shop" }
  expect_failures = [var.account_id]
}

run "refuses_a_name_that_s3_does_not_take" {
  command = plan
  variables { name = "Shop" }
  expect_failures = [var.name]
}
