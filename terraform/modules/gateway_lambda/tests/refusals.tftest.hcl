# Values that AWS would refuse late, that would lose events or let anybody post, are refused at once.
variables {
  name = "shop-dev"

  vpc = {
    id         = "vpc-1"
    cidr_block = "10.60.0.0/16"
    subnet_ids = ["subnet-1", "subnet-2"]
  }
}

run "a_name_over_the_limit_of_functions" {
  command = plan

  variables {
    name = "shop-with-a-name-that-is-much-too-long-for-functions-and-roles"
  }

  expect_failures = [var.name]
}

run "a_processor_that_is_none" {
  command = plan

  variables {
    architecture = "riscv"
  }

  expect_failures = [var.architecture]
}

run "one_zone" {
  command = plan

  variables {
    vpc = { id = "vpc-1", cidr_block = "10.60.0.0/16", subnet_ids = ["subnet-1"] }
  }

  expect_failures = [var.vpc]
}

run "addresses_that_are_none" {
  command = plan

  variables {
    vpc = { id = "vpc-1", cidr_block = "all", subnet_ids = ["subnet-1", "subnet-2"] }
  }

  expect_failures = [var.vpc]
}

run "any_cluster_of_kafka" {
  command = plan

  variables {
    kafka = { cluster_arn = "arn:aws:kafka:eu-west-1:123456789012:cluster/*/*", topic = "orders" }
  }

  expect_failures = [var.kafka]
}

run "a_package_that_is_not_there" {
  command = plan

  variables {
    gateway = { package = "tests/nothing.zip", authorization = "AWS_IAM" }
  }

  expect_failures = [var.gateway]
}

run "too_little_memory" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", authorization = "AWS_IAM", memory_mib = 128 }
  }

  expect_failures = [var.gateway]
}

run "less_than_no_concurrency" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", authorization = "AWS_IAM", reserved_concurrency = -1 }
  }

  expect_failures = [var.gateway]
}

run "no_requests" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", authorization = "AWS_IAM", requests_per_second = 0 }
  }

  expect_failures = [var.gateway]
}

run "an_authorization_that_is_none" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", authorization = "JWT" }
  }

  expect_failures = [var.gateway]
}

run "anybody_posts" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip" }
  }

  expect_failures = [var.gateway]
}

run "any_secret" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:*"], secrets_extension_arn = "arn" }
  }

  expect_failures = [var.gateway]
}

run "secrets_without_the_layer" {
  command = plan

  variables {
    gateway = { package = "tests/package.zip", secret_arns = ["arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop-a1b2c3"] }
  }

  expect_failures = [var.gateway]
}

run "a_package_of_bronze_that_is_not_there" {
  command = plan

  variables {
    exporter = {
      package           = "tests/nothing.zip"
      table_arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
      stream_arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders/stream/1"
      bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
      kms_key_arns      = []
    }
  }

  expect_failures = [var.exporter]
}

run "the_stream_of_another_table" {
  command = plan

  variables {
    exporter = {
      package           = "tests/package.zip"
      table_arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
      stream_arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/payments/stream/1"
      bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
      kms_key_arns      = []
    }
  }

  expect_failures = [var.exporter]
}

run "too_little_memory_for_a_batch" {
  command = plan

  variables {
    exporter = {
      package           = "tests/package.zip"
      table_arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
      stream_arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders/stream/1"
      bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
      kms_key_arns      = []
      memory_mib        = 256
    }
  }

  expect_failures = [var.exporter]
}

run "a_longer_wait_than_lambda_has" {
  command = plan

  variables {
    exporter = {
      package           = "tests/package.zip"
      table_arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
      stream_arn        = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders/stream/1"
      bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
      kms_key_arns      = []
      window_seconds    = 600
    }
  }

  expect_failures = [var.exporter]
}

run "days_that_cloudwatch_does_not_know" {
  command = plan

  variables {
    log_retention_days = 31
  }

  expect_failures = [var.log_retention_days]
}

run "a_level_that_is_none" {
  command = plan

  variables {
    log_level = "loud"
  }

  expect_failures = [var.log_level]
}

run "a_name_that_lambda_does_not_take" {
  command = plan

  variables {
    environment = { "HTTPS-PROXY" = "http://proxy.shop.example:3128" }
  }

  expect_failures = [var.environment]
}

run "an_environment_that_has_the_secrets" {
  command = plan

  variables {
    environment = { MEDALLION_SECRETS = "shop-gateway" }
  }

  expect_failures = [var.environment]
}

run "an_environment_that_is_lambdas_own" {
  command = plan

  variables {
    environment = { AWS_REGION = "eu-west-1" }
  }

  expect_failures = [var.environment]
}
