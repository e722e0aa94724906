variable "name" {
  type        = string
  description = "Name of the workgroup and its namespace, or of the cluster, and prefix of all other names."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,46}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name: use 4 to 48 lower-case letters, digits and single dashes, beginning with a letter and not ending with a dash."
  }
}

variable "type" {
  type        = string
  description = "`Serverless`: AWS scales and bills by use. `Cluster`: nodes of the given kind and number."
  default     = "Serverless"

  validation {
    condition     = contains(["Serverless", "Cluster"], var.type)
    error_message = "type: must be Serverless or Cluster."
  }
}

variable "serverless" {
  type = object({
    base_rpu = optional(number, 8)
    max_rpu  = optional(number, 32)
  })
  description = "Redshift Processing Units of a workgroup: those a query begins with, and the most that it scales to."
  default     = {}

  validation {
    condition     = var.serverless.base_rpu >= 8 && var.serverless.base_rpu <= 512 && var.serverless.base_rpu % 8 == 0
    error_message = "serverless: base_rpu must be 8 to 512, in steps of 8."
  }

  validation {
    condition     = var.serverless.max_rpu >= var.serverless.base_rpu && var.serverless.max_rpu <= 5632 && var.serverless.max_rpu % 8 == 0
    error_message = "serverless: max_rpu must be base_rpu or more, in steps of 8."
  }
}

variable "cluster" {
  type = object({
    node_type = optional(string, "ra3.large")
    nodes     = optional(number, 2)
  })
  description = "Nodes of a cluster."
  default     = {}

  validation {
    condition     = contains(["ra3.large", "ra3.xlplus", "ra3.4xlarge", "ra3.16xlarge"], var.cluster.node_type)
    error_message = "cluster: node_type must be ra3.large, ra3.xlplus, ra3.4xlarge or ra3.16xlarge; older kinds encrypt and recover less."
  }

  validation {
    condition     = var.cluster.nodes >= 2 && var.cluster.nodes <= (contains(["ra3.large", "ra3.xlplus"], var.cluster.node_type) ? 16 : 128) && floor(var.cluster.nodes) == var.cluster.nodes
    error_message = "cluster: nodes must be 2 to 16 of ra3.large and ra3.xlplus, 2 to 128 of the larger ones; a single node is lost with its disk."
  }
}

variable "database" {
  type        = string
  description = "Database, as in `spec.warehouse.redshift.database`."
  default     = "analytics"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,63}$", var.database)) && !contains(["padb_harvest", "template0", "template1", "sys"], var.database)
    error_message = "database: use up to 64 lower-case letters, digits and underscores; padb_harvest, template0, template1 and sys are Redshift's own."
  }
}

variable "schema" {
  type        = string
  description = "Schema of Gold, as in `spec.warehouse.redshift.schema`."
  default     = "gold"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,126}$", var.schema)) && !startswith(var.schema, "pg_")
    error_message = "schema: use up to 127 lower-case letters, digits and underscores; names that begin with pg_ are Redshift's own."
  }
}

variable "vpc_id" {
  type        = string
  description = "VPC of the warehouse."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets, each in another zone: three for Serverless, two for a cluster."

  validation {
    condition     = length(distinct(var.subnet_ids)) == length(var.subnet_ids) && length(var.subnet_ids) >= (var.type == "Serverless" ? 3 : 2)
    error_message = "subnet_ids: give three different private subnets for Serverless, two for a cluster, each in another zone."
  }
}

variable "client_security_group_ids" {
  type        = map(string)
  description = "Security groups that may reach the warehouse at its port, by a name of one's own: Power BI's data gateway. The pipeline is none of them: it speaks to the Data API."
  default     = {}

  validation {
    condition     = alltrue([for client in keys(var.client_security_group_ids) : can(regex("^[a-zA-Z0-9 ._:/()#,@+=&;-]{1,200}$", client))])
    error_message = "client_security_group_ids: a name is the description of its rule, for which EC2 takes letters, digits, spaces and ._:/()#,@+=&;- alone."
  }
}

variable "gold" {
  type = object({
    bucket_arn  = string
    kms_key_arn = string
  })
  description = "The Gold bucket, which COPY reads, and the key that encrypts it."

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.gold.bucket_arn))
    error_message = "gold: bucket_arn is arn:PARTITION:s3:::NAME, without wildcards."
  }
}

variable "usage_limit" {
  type = object({
    amount = number
    period = optional(string, "daily")
    action = optional(string, "emit-metric")
  })
  description = "What may be used in a period (`daily`, `weekly`, `monthly`): RPU-hours of Serverless, minutes of a cluster's concurrency scaling. action: `emit-metric` tells, `deactivate` (Serverless), `disable` (cluster) stops."
  default     = { amount = 24 }

  validation {
    condition     = var.usage_limit.amount >= 1 && floor(var.usage_limit.amount) == var.usage_limit.amount
    error_message = "usage_limit: amount must be a whole number of 1 or more."
  }

  validation {
    condition     = contains(["daily", "weekly", "monthly"], var.usage_limit.period)
    error_message = "usage_limit: period must be daily, weekly or monthly."
  }

  validation {
    condition     = contains(["emit-metric", var.type == "Serverless" ? "deactivate" : "disable"], var.usage_limit.action)
    error_message = "usage_limit: action must be emit-metric, or deactivate with type Serverless, disable with type Cluster."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which the audit logs (connections, users, statements) stay in CloudWatch."
  default     = 365

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "snapshot_retention_days" {
  type        = number
  description = "Days for which a cluster's automatic snapshots are kept. Serverless keeps a recovery point each half hour for a day by itself."
  default     = 7

  validation {
    condition     = var.snapshot_retention_days >= 1 && var.snapshot_retention_days <= 35
    error_message = "snapshot_retention_days: keep automatic snapshots for 1 to 35 days."
  }
}

variable "skip_final_snapshot" {
  type        = bool
  description = "Whether `destroy` deletes a cluster without a last snapshot. For environments that may be lost."
  default     = false
}

variable "database_users" {
  type        = map(string)
  description = "Database users that setup_sql makes, as the outputs of iam_roles name them: loader and provisioner."
  default     = {}

  validation {
    condition     = alltrue([for worker in keys(var.database_users) : contains(["loader", "provisioner"], worker)])
    error_message = "database_users: only loader and provisioner speak to the warehouse."
  }

  validation {
    condition     = alltrue([for user in values(var.database_users) : can(regex("^IAMR:[a-zA-Z0-9+=,.@_-]{1,64}$", user))])
    error_message = "database_users: a role is the user IAMR:ROLE-NAME in Redshift."
  }
}

variable "reader_role" {
  type        = string
  description = "Role in the database that reads Gold and nothing else, for Power BI."
  default     = "medallion_reader"

  validation {
    condition     = can(regex("^[a-z_][a-z0-9_]{0,62}$", var.reader_role))
    error_message = "reader_role: use up to 63 lower-case letters, digits and underscores."
  }
}
