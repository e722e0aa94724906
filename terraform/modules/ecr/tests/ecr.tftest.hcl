variables {
  prefix = "shop-dev"
}

run "keeps_tags_and_scans" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE"])
    error_message = "A tag must name one image for ever."
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_scanning_configuration[0].scan_on_push])
    error_message = "Each image must be scanned."
  }

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.encryption_configuration[0].encryption_type == "KMS"])
    error_message = "Images must be encrypted with the key."
  }
}

run "says_where_images_are_pushed" {
  command = apply

  assert {
    condition     = output.urls["medallion"] == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev/medallion" && output.registry == "123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop-dev"
    error_message = "The addresses are others: ${jsonencode(output.urls)}"
  }
}

run "refuses_a_prefix_that_ecr_does_not_take" {
  command = plan
  variables { prefix = "Shop" }
  expect_failures = [var.prefix]
}

run "refuses_a_name_that_ecr_does_not_take" {
  command = plan
  variables { repositories = ["dbt--purchases"] }
  expect_failures = [var.repositories]
}

run "refuses_to_delete_at_once" {
  command = plan
  variables { untagged_days = 0 }
  expect_failures = [var.untagged_days]
}
