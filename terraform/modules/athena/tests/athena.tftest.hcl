# Queries are bounded, their results are kept as they must be, and readers only read.
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

run "the_workgroup_decides" {
  command = apply

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].enforce_workgroup_configuration
    error_message = "a client cannot have its results elsewhere"
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].bytes_scanned_cutoff_per_query == 107374182400
    error_message = "a query reads 100 GiB at most"
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].result_configuration[0].encryption_configuration[0].encryption_option == "SSE_KMS"
    error_message = "results are encrypted"
  }

  assert {
    condition     = aws_athena_workgroup.this.configuration[0].result_configuration[0].output_location == "s3://${output.results_bucket}/results/"
    error_message = "results have a bucket of their own"
  }
}

run "readers_read" {
  command = apply

  assert {
    condition     = alltrue([for statement in jsondecode(output.reader_policy).Statement : alltrue([for action in statement.Action : !strcontains(action, "*")]) && !contains(statement.Resource, "*")])
    error_message = "no star"
  }

  assert {
    condition = alltrue([
      for statement in jsondecode(output.reader_policy).Statement : alltrue([for resource in statement.Resource : strcontains(resource, "-athena-")])
      if contains(statement.Action, "s3:PutObject")
    ])
    error_message = "nothing is written but results: ${output.reader_policy}"
  }

  assert {
    condition     = alltrue([for word in ["Create", "Update", "Delete"] : !strcontains(output.reader_policy, word)])
    error_message = "the catalog is read"
  }
}
