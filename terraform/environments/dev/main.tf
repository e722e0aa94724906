# Development: everything serverless and small, and nothing that must not be lost.

locals {
  environment = "dev"
}

module "platform" {
  source = "../../modules/platform"

  name        = var.name
  environment = local.environment
  disposable  = true

  network = {
    cidr_block         = "10.60.0.0/16"
    availability_zones = coalesce(var.availability_zones, [for letter in ["a", "b", "c"] : "${var.region}${letter}"])
    nat_gateways       = "Single"
    # Interface endpoints cost by the hour and zone: here their ways lead through the one NAT gateway.
    interface_endpoints = []
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs
    admin_role_arns     = var.admin_role_arns
    nodes               = { min = 1, desired = 2, max = 3, instance_types = ["t3.large"] }
  }

  kafka = { type = "Serverless" }

  lake = { noncurrent_days = 7 }

  warehouse = {
    type        = "Serverless"
    serverless  = { base_rpu = 8, max_rpu = 8 }
    usage_limit = { amount = 8, action = "deactivate" }
  }

  catalog            = { bytes_limit = 10737418240 }
  functions          = var.functions
  alerts             = { emails = var.emails, alarm_pages = var.alarm_pages }
  log_retention_days = 7
}
