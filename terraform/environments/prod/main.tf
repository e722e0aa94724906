# Production: three of everything, capacity that is provisioned and scales, and protection from deletion.

locals {
  environment = "prod"
}

module "platform" {
  source = "../../modules/platform"

  name        = var.name
  environment = local.environment

  network = {
    cidr_block         = "10.62.0.0/16"
    availability_zones = coalesce(var.availability_zones, [for letter in ["a", "b", "c"] : "${var.region}${letter}"])
    nat_gateways       = "PerZone"
  }

  cluster = {
    public_access_cidrs = var.public_access_cidrs
    admin_role_arns     = var.admin_role_arns
    nodes               = { min = 3, desired = 3, max = 12, instance_types = ["m7i.xlarge"], volume_gib = 120 }
  }

  kafka = {
    type   = "Provisioned"
    broker = { instance_type = "kafka.m7g.large", volume_gib = 250, max_volume_gib = 2000 }
  }

  table = {
    capacity = {
      mode  = "Provisioned"
      read  = { min = 25, max = 1000 }
      write = { min = 100, max = 5000 }
    }
  }

  # Bronze is read once by Silver, and then rarely.
  lake = {
    noncurrent_days = 30
    transition      = { days = 90, storage_class = "INTELLIGENT_TIERING" }
  }

  warehouse = {
    type    = "Cluster"
    cluster = { node_type = "ra3.xlplus", nodes = 2 }
    # Minutes of concurrency scaling.
    usage_limit = { amount = 60, action = "disable" }
  }

  functions          = var.functions
  alerts             = { emails = var.emails, alarm_pages = var.alarm_pages }
  log_retention_days = 90
}
