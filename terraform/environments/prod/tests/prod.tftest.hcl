variables {
  account_id  = "123456789012"
  emails      = ["data-team@example.com"]
  alarm_pages = "https://git.example.com/medallion/docs/alarms.md"
}

run "is_provisioned" {
  command = apply

  assert {
    condition     = output.medallion.environment == "prod" && output.medallion.kafka.replication_factor == 3 && output.medallion.warehouse.type == "Cluster"
    error_message = "Production has parts of its own: ${jsonencode(output.medallion)}"
  }
}

run "takes_other_zones" {
  command = apply

  variables {
    region             = "eu-west-1"
    availability_zones = ["eu-west-1b", "eu-west-1c", "eu-west-1a"]
  }

  assert {
    condition     = output.medallion.region == "eu-west-1"
    error_message = "The region is another."
  }
}
