# Redshift. A cluster shows its health and its disks; Serverless shows queries that wait and what has been used of a limit.
locals {
  usage_dimensions = {
    Serverless = { UsageLimitId = try(var.warehouse.usage_limit_id, ""), UsageType = "SERVERLESS_COMPUTE", Workgroup = try(var.warehouse.workgroup_name, "") }
    Cluster    = { UsageLimitId = try(var.warehouse.usage_limit_id, ""), FeatureType = "CONCURRENCY_SCALING", ClusterIdentifier = try(var.warehouse.cluster_identifier, "") }
  }

  warehouse_all = {
    WarehouseUsage = {
      of         = ["Serverless", "Cluster"]
      page       = "WarehouseUsage"
      what       = "More than 80 % of the warehouse's usage limit is used up."
      metric     = "UsageLimitConsumed"
      dimensions = local.usage_dimensions[try(var.warehouse.type, "Serverless")]
      statistic  = "Maximum"
      period     = 300
      periods    = 1
      comparison = "GreaterThanThreshold"
      threshold  = 0.8 * try(var.warehouse.usage_limit_amount, 0)
      missing    = "notBreaching"
      silence    = "a warehouse that rests uses nothing"
    }
    WarehouseHealth = {
      of         = ["Cluster"]
      page       = "WarehouseHealth"
      what       = "The cluster does not answer its own check."
      metric     = "HealthStatus"
      dimensions = { ClusterIdentifier = try(var.warehouse.cluster_identifier, "") }
      statistic  = "Minimum"
      period     = 60
      periods    = 5
      comparison = "LessThanThreshold"
      threshold  = 1
      missing    = "breaching"
      silence    = "a cluster that shows nothing is paused or gone"
    }
    WarehouseDisk = {
      of         = ["Cluster"]
      page       = "WarehouseDisk"
      what       = "The cluster's storage is more than 80 % full."
      metric     = "PercentageDiskSpaceUsed"
      dimensions = { ClusterIdentifier = try(var.warehouse.cluster_identifier, "") }
      statistic  = "Maximum"
      period     = 300
      periods    = 1
      comparison = "GreaterThanThreshold"
      threshold  = 80
      missing    = "ignore"
      silence    = "it stays as full as it was; of a silent cluster WarehouseHealth tells"
    }
    WarehouseQueue = {
      of         = ["Serverless"]
      page       = "WarehouseQueue"
      what       = "Queries have waited in the workgroup for a quarter of an hour."
      metric     = "QueriesQueued"
      dimensions = { Workgroup = try(var.warehouse.workgroup_name, "") }
      statistic  = "Minimum"
      period     = 300
      periods    = 3
      comparison = "GreaterThanThreshold"
      threshold  = 0
      missing    = "notBreaching"
      silence    = "a warehouse that rests has no queue"
    }
  }

  warehouse_alarms = {
    for alarm, entry in local.warehouse_all : alarm => merge(
      { for field, value in entry : field => value if field != "of" },
      { namespace = var.warehouse.type == "Serverless" ? "AWS/Redshift-Serverless" : "AWS/Redshift" },
    ) if try(contains(entry.of, var.warehouse.type), false)
  }
}
