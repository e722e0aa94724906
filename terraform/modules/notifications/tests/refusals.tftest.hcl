# Values that AWS would refuse late, or that would open the topic, are refused at once.
variables {
  name = "shop-dev"
}

run "a_name_with_other_letters" {
  command = plan

  variables {
    name = "shop_dev!"
  }

  expect_failures = [var.name]
}

run "an_address_that_is_none" {
  command = plan

  variables {
    emails = ["data-team"]
  }

  expect_failures = [var.emails]
}

run "any_role" {
  command = plan

  variables {
    publisher_role_arns = ["arn:aws:iam::123456789012:role/*"]
  }

  expect_failures = [var.publisher_role_arns]
}
