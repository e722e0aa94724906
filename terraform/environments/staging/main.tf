# Staging: built as production is, at the size of development.

locals {
  environment = "staging"
}

module "platform" {
  source = "../../modules/platform"

  name        = var.name
  environment = local.environment

  network = {
    cidr_block         = "10.61.0.0/16"
    availability_zones = coalesce(var.availability_zones, [for letter in ["a", "b", "c"] : "${var.region}${letter}"])
    nat_gateways       = "Single"
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs
    admin_role_arns     = var.admin_role_arns
    nodes               = { min = 2, desired = 2, max = 4 }
  }

  kafka = {
    type   = "Provisioned"
    broker = { instance_type = "kafka.t3.small", volume_gib = 50, max_volume_gib = 200 }
  }

  lake = { noncurrent_days = 14 }

  warehouse = {
    type        = "Serverless"
    serverless  = { base_rpu = 8, max_rpu = 16 }
    usage_limit = { amount = 16, action = "deactivate" }
  }

  functions = var.functions
  alerts    = { emails = var.emails, alarm_pages = var.alarm_pages }
}
