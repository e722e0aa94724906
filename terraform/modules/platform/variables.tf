variable "name" {
  type        = string
  description = "Name of the company or shop; with the environment the prefix of all names."

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,15}$", var.name))
    error_message = "name: use 2 to 16 lower-case letters and digits, beginning with a letter; all other names add to it."
  }
}

variable "environment" {
  type        = string
  description = "Name of the environment."

  validation {
    condition     = can(regex("^[a-z][a-z0-9]{1,9}$", var.environment))
    error_message = "environment: use 2 to 10 lower-case letters and digits, for example dev, staging or prod."
  }
}

variable "disposable" {
  type        = bool
  description = "Whether the environment may be lost: `destroy` deletes its data, and nothing is protected from deletion."
  default     = false
}

variable "pipeline" {
  type = object({
    name        = optional(string, "purchase-orders")
    namespace   = optional(string, "shop")
    topic       = optional(string, "purchase_orders")
    partitions  = optional(number, 6)
    dbt_project = optional(string, "purchases")
  })
  description = "The Pipeline: its name and namespace in the cluster, its topic (dead letters go to dlq.TOPIC), and its dbt project."
  default     = {}

  validation {
    condition     = can(regex("^[a-zA-Z0-9._-]{1,200}$", var.pipeline.topic))
    error_message = "pipeline: topic has up to 200 letters, digits, dots, underscores and dashes."
  }

  validation {
    condition     = var.pipeline.partitions >= 1 && var.pipeline.partitions <= 1000
    error_message = "pipeline: partitions must be 1 to 1000; they cannot be changed later without losing the order of events."
  }

  validation {
    condition     = can(regex("^[a-z0-9]+(-[a-z0-9]+)*$", var.pipeline.dbt_project))
    error_message = "pipeline: dbt_project is a name of lower-case letters, digits and dashes; its image's repository is called dbt-NAME."
  }
}

variable "network" {
  type = object({
    existing = optional(object({
      vpc_id                  = string
      cidr_block              = string
      private_subnet_ids      = list(string)
      private_route_table_ids = list(string)
    }))
    cidr_block          = optional(string, "10.60.0.0/16")
    availability_zones  = optional(list(string), [])
    nat_gateways        = optional(string, "PerZone")
    gateway_endpoints   = optional(set(string))
    interface_endpoints = optional(set(string))
  })
  description = "The VPC, made or existing, as the module network takes it."
}

variable "cluster" {
  type = object({
    existing = optional(object({
      name              = string
      endpoint          = string
      security_group_id = string
      oidc_provider_arn = optional(string)
      oidc_issuer       = optional(string)
    }))
    kubernetes_version  = optional(string, "1.35")
    public_access_cidrs = optional(list(string), [])
    admin_role_arns     = optional(map(string), {})
    nodes = optional(object({
      instance_types = optional(list(string), ["m7i.large"])
      ami_type       = optional(string, "AL2023_x86_64_STANDARD")
      min            = optional(number, 2)
      max            = optional(number, 6)
      desired        = optional(number, 2)
      volume_gib     = optional(number, 80)
    }), {})
    identities = optional(string, "PodIdentity")
  })
  description = "The EKS cluster, made or existing, as the module eks takes it; identities is `PodIdentity` or `Irsa`."
  default     = {}

  validation {
    condition     = contains(["PodIdentity", "Irsa"], var.cluster.identities)
    error_message = "cluster: identities must be PodIdentity or Irsa."
  }

  validation {
    condition     = var.cluster.existing == null || var.network.existing != null
    error_message = "cluster: an existing cluster has its nodes in a VPC that exists; give it as network = { existing = {...} }, or nobody reaches the brokers."
  }

  validation {
    condition     = var.cluster.existing == null || var.cluster.identities != "Irsa" || try(var.cluster.existing.oidc_provider_arn, null) != null
    error_message = "cluster: identities Irsa needs existing.oidc_provider_arn, the IAM OIDC provider of the cluster."
  }
}

variable "kafka" {
  type = object({
    type = optional(string, "Serverless")
    broker = optional(object({
      kafka_version  = optional(string, "3.9.x")
      instance_type  = optional(string, "kafka.m7g.large")
      volume_gib     = optional(number, 100)
      max_volume_gib = optional(number, 500)
    }), {})
  })
  description = "Amazon MSK, as the module kafka_infra takes it."
  default     = {}
}

variable "table" {
  type = object({
    name = optional(string, "purchase_orders")
    capacity = optional(object({
      mode  = string
      read  = optional(object({ min = number, max = number, target_percent = optional(number, 70) }))
      write = optional(object({ min = number, max = number, target_percent = optional(number, 70) }))
    }), { mode = "OnDemand" })
    # As `spec.table.expireAfterDays`; null: items stay.
    expire_days = optional(number)
  })
  description = "The DynamoDB table; its name is NAME-ENVIRONMENT-table.name, because environments may share an account."
  default     = {}

  validation {
    condition     = var.table.expire_days == null ? true : var.table.expire_days >= 2 && floor(var.table.expire_days) == var.table.expire_days
    error_message = "table: expire_days must be a whole number of 2 or more, or null; the stream keeps a change for a day after it was stored, and the days count from the record."
  }
}

variable "lake" {
  type = object({
    noncurrent_days = optional(number, 30)
    transition      = optional(object({ days = number, storage_class = string }))
  })
  description = "The buckets of the layers, as the module s3_buckets takes them."
  default     = {}
}

variable "warehouse" {
  type = object({
    type = optional(string, "Serverless")
    serverless = optional(object({
      base_rpu = optional(number, 8)
      max_rpu  = optional(number, 32)
    }), {})
    cluster = optional(object({
      node_type = optional(string, "ra3.large")
      nodes     = optional(number, 2)
    }), {})
    usage_limit = optional(object({
      amount = number
      period = optional(string, "daily")
      action = optional(string, "emit-metric")
    }), { amount = 24 })
    database                  = optional(string, "analytics")
    schema                    = optional(string, "gold")
    client_security_group_ids = optional(map(string), {})
  })
  description = "Redshift, as the module redshift_cluster takes it. Null: none."
  default     = {}
}

variable "catalog" {
  type = object({
    bytes_limit = optional(number, 107374182400)
  })
  description = "Glue and Athena on Gold, as the module athena takes it. Null: none."
  default     = {}
}

variable "functions" {
  type = object({
    gateway = optional(object({
      package               = string
      reserved_concurrency  = optional(number, 50)
      authorization         = optional(string, "NONE")
      secret_arns           = optional(list(string), [])
      secret_kms_key_arns   = optional(list(string), [])
      secrets_extension_arn = optional(string)
    }))
    exporter = optional(object({
      package        = string
      window_seconds = optional(number, 60)
      enabled        = optional(bool, true)
    }))
    architecture = optional(string, "arm64")
    environment  = optional(map(string), {})
  })
  description = "Functions in the place of pods, as the module gateway_lambda takes them: packages by `medallion-operator function` (docs/lambda.md). Null: none."
  default     = null
}

variable "alerts" {
  type = object({
    emails      = optional(set(string), [])
    alarm_pages = string
    limits = optional(object({
      age_seconds            = optional(map(number))
      stream_lag_seconds     = optional(number)
      dead_letters           = optional(number)
      consumer_lag_records   = optional(number)
      retention_used_percent = optional(number)
      event_rate_deviations  = optional(number)
    }), {})
  })
  description = "Who is told, where docs/alarms.md can be read, and from where on alarms fire: limits as the module monitoring takes them, which knows those that are left out."
}

variable "log_retention_days" {
  type        = number
  description = "Days for which logs stay in CloudWatch; audit logs of the warehouse stay for a year in any case."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}
