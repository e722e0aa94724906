# Values that AWS would refuse late are refused at once.
variables {
  name                 = "shop-dev"
  database             = "shop_gold"
  result_bucket_suffix = "123456789012"
  access_log_bucket    = "shop-dev-logs"

  gold = {
    bucket_arn  = "arn:aws:s3:::shop-dev-gold"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/lake"
  }
}

run "a_name_that_no_bucket_may_have" {
  command = plan

  variables {
    name = "Shop"
  }

  expect_failures = [var.name]
}

run "a_database_with_a_dash" {
  command = plan

  variables {
    database = "shop-gold"
  }

  expect_failures = [var.database]
}

run "any_bucket" {
  command = plan

  variables {
    gold = { bucket_arn = "arn:aws:s3:::*", kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/lake" }
  }

  expect_failures = [var.gold]
}

run "a_suffix_that_no_bucket_may_have" {
  command = plan

  variables {
    result_bucket_suffix = "Data_Team"
  }

  expect_failures = [var.result_bucket_suffix]
}

run "results_for_ever" {
  command = plan

  variables {
    result_days = 0
  }

  expect_failures = [var.result_days]
}

run "a_limit_below_athenas_own" {
  command = plan

  variables {
    bytes_limit = 1000
  }

  expect_failures = [var.bytes_limit]
}
