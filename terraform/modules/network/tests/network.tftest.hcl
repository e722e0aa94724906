variables {
  name               = "shop-dev"
  availability_zones = ["eu-west-1a", "eu-west-1b", "eu-west-1c"]
}

run "has_private_and_public_subnets_in_three_zones" {
  command = plan

  assert {
    condition     = length(aws_subnet.private) == 3 && length(aws_subnet.public) == 3 && length(aws_nat_gateway.this) == 3
    error_message = "Each zone has both subnets, and its own way out."
  }

  assert {
    condition     = length(distinct(concat([for subnet in aws_subnet.private : subnet.cidr_block], [for subnet in aws_subnet.public : subnet.cidr_block]))) == 6
    error_message = "Subnets must not overlap."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : !coalesce(subnet.map_public_ip_on_launch, false)])
    error_message = "Nothing gets a public address by itself."
  }

  assert {
    condition     = length(aws_default_security_group.this) == 1
    error_message = "The default security group must be emptied."
  }

  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL"
    error_message = "The VPC needs a flow log."
  }
}

run "reaches_aws_without_the_internet" {
  command = plan

  assert {
    condition     = toset(keys(aws_vpc_endpoint.gateway)) == toset(["s3", "dynamodb"])
    error_message = "S3 and DynamoDB have gateway endpoints."
  }

  assert {
    condition     = length(setsubtract(["sts", "redshift-data", "kms", "logs", "ecr.api", "ecr.dkr", "eks-auth"], keys(aws_vpc_endpoint.interface))) == 0
    error_message = "An endpoint of a service that the workers call is missing: ${jsonencode(keys(aws_vpc_endpoint.interface))}"
  }

  assert {
    condition     = alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Clients call the services by their ordinary names."
  }

  assert {
    condition     = length(output.endpoint_hosts) == 0
    error_message = "Nobody needs another host: ${jsonencode(output.endpoint_hosts)}"
  }
}

run "reaches_streams_by_a_host_of_their_own" {
  command = apply

  variables {
    nat_gateways        = "None"
    interface_endpoints = ["dynamodb-streams", "sts"]
  }

  assert {
    condition     = !aws_vpc_endpoint.interface["dynamodb-streams"].private_dns_enabled && aws_vpc_endpoint.interface["sts"].private_dns_enabled
    error_message = "AWS makes no endpoint of DynamoDB Streams with private DNS."
  }

  assert {
    condition     = keys(output.endpoint_hosts) == ["dynamodb-streams"]
    error_message = "Workers must be told where the streams are: ${jsonencode(output.endpoint_hosts)}"
  }
}

run "finds_the_group_of_its_flow_log" {
  command = plan

  assert {
    condition = anytrue([
      for statement in jsondecode(aws_iam_role_policy.flow_log[0].policy).Statement :
      statement.Action == ["logs:DescribeLogGroups"] && endswith(statement.Resource[0], ":log-group:*")
    ])
    error_message = "Without it a flow log says Access error and writes nothing: ${aws_iam_role_policy.flow_log[0].policy}"
  }
}

run "saves_gateways_in_dev" {
  command = plan
  variables { nat_gateways = "Single" }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 3
    error_message = "One gateway serves all zones."
  }
}

run "needs_no_gateway" {
  command = plan
  variables { nat_gateways = "None" }

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_route.nat) == 0
    error_message = "Without a gateway there is no route to one."
  }
}

run "works_in_an_existing_vpc" {
  command = apply

  variables {
    availability_zones = []
    existing = {
      vpc_id                  = "vpc-there"
      cidr_block              = "10.0.0.0/16"
      private_subnet_ids      = ["subnet-1", "subnet-2", "subnet-3"]
      private_route_table_ids = ["rtb-1"]
    }
  }

  assert {
    condition     = length(aws_vpc.this) == 0 && length(aws_subnet.private) == 0 && output.vpc_id == "vpc-there"
    error_message = "Nothing may be made beside what is there."
  }

  assert {
    condition     = output.private_subnet_ids == tolist(["subnet-1", "subnet-2", "subnet-3"]) && length(output.public_subnet_ids) == 0
    error_message = "The given subnets must be used."
  }

  assert {
    condition     = aws_vpc_endpoint.gateway["s3"].route_table_ids == toset(["rtb-1"])
    error_message = "The endpoints belong into the given route tables."
  }
}

run "refuses_one_subnet" {
  command = plan

  variables {
    existing = {
      vpc_id                  = "vpc-there"
      cidr_block              = "10.0.0.0/16"
      private_subnet_ids      = ["subnet-1"]
      private_route_table_ids = ["rtb-1"]
    }
  }

  expect_failures = [var.existing]
}

run "refuses_too_few_addresses" {
  command = plan
  variables { cidr_block = "10.0.0.0/24" }
  expect_failures = [var.cidr_block]
}

run "refuses_two_zones" {
  command = plan
  variables { availability_zones = ["eu-west-1a", "eu-west-1b"] }
  expect_failures = [var.availability_zones]
}

run "refuses_other_ways_out" {
  command = plan
  variables { nat_gateways = "Two" }
  expect_failures = [var.nat_gateways]
}

run "refuses_gateway_endpoints_that_there_are_not" {
  command = plan
  variables { gateway_endpoints = ["sts"] }
  expect_failures = [var.gateway_endpoints]
}

run "refuses_endpoints_by_their_full_name" {
  command = plan
  variables { interface_endpoints = ["COM.amazonaws.eu-west-1.sts"] }
  expect_failures = [var.interface_endpoints]
}

run "refuses_days_that_cloudwatch_does_not_take" {
  command = plan
  variables { flow_log_days = 31 }
  expect_failures = [var.flow_log_days]
}

run "refuses_a_long_name" {
  command = plan
  variables { name = "the-network-of-the-shop-for-the-development-of-things" }
  expect_failures = [var.name]
}
