variables {
  account_id  = "123456789012"
  emails      = ["data-team@example.com"]
  alarm_pages = "https://git.example.com/medallion/docs/alarms.md"
}

run "has_brokers_as_production_has" {
  command = apply

  assert {
    condition     = output.medallion.environment == "staging" && output.medallion.kafka.type == "Provisioned" && output.medallion.kafka.replication_factor == 3
    error_message = "Staging must show what production will do: ${jsonencode(output.medallion.kafka)}"
  }
}
