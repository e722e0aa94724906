variables {
  account_id  = "123456789012"
  emails      = ["data-team@example.com"]
  alarm_pages = "https://git.example.com/medallion/docs/alarms.md"
}

run "is_small_and_serverless" {
  command = apply

  assert {
    condition     = output.medallion.environment == "dev" && output.medallion.kafka.type == "Serverless" && output.medallion.warehouse.type == "Serverless"
    error_message = "Development pays by use: ${jsonencode(output.medallion)}"
  }
}

run "refuses_an_account_that_is_none" {
  command = plan
  variables { account_id = "shop" }
  expect_failures = [var.account_id]
}
