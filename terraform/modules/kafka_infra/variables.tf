variable "name" {
  type        = string
  description = "Name of the cluster."

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9-]{0,63}$", var.name))
    error_message = "name: MSK takes up to 64 letters, digits and dashes, beginning with a letter or digit."
  }
}

variable "type" {
  type        = string
  description = "`Serverless`: AWS chooses brokers, copies and in-sync replicas. `Provisioned`: three brokers of the given size."
  default     = "Serverless"

  validation {
    condition     = contains(["Serverless", "Provisioned"], var.type)
    error_message = "type: must be Serverless or Provisioned."
  }
}

variable "vpc_id" {
  type        = string
  description = "VPC of the brokers."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets of the brokers, each in another zone: three, or two for Serverless."

  validation {
    condition     = length(distinct(var.subnet_ids)) == length(var.subnet_ids) && length(var.subnet_ids) >= (var.type == "Provisioned" ? 3 : 2) && length(var.subnet_ids) <= 3
    error_message = "subnet_ids: give three different subnets (two will do for Serverless), each in another zone: a record is kept three times."
  }
}

variable "client_security_group_ids" {
  type        = map(string)
  description = "Security groups that may reach the brokers at port 9098, by a name of one's own: nodes of the cluster, functions."

  validation {
    condition     = length(var.client_security_group_ids) > 0
    error_message = "client_security_group_ids: name at least one security group, or nobody reaches the brokers."
  }

  validation {
    condition     = alltrue([for client in keys(var.client_security_group_ids) : can(regex("^[a-zA-Z0-9 ._:/()#,@+=&;-]{1,200}$", client))])
    error_message = "client_security_group_ids: a name is the description of its rule, for which EC2 takes letters, digits, spaces and ._:/()#,@+=&;- alone."
  }
}

variable "broker" {
  type = object({
    kafka_version = optional(string, "3.9.x")
    instance_type = optional(string, "kafka.m7g.large")
    volume_gib    = optional(number, 100)
    # Storage grows by itself up to here, and never shrinks.
    max_volume_gib = optional(number, 500)
  })
  description = "The brokers of a provisioned cluster."
  default     = {}

  validation {
    condition     = can(regex("^kafka\\.[a-z0-9]+\\.[a-z0-9]+$", var.broker.instance_type))
    error_message = "broker: instance_type is called as kafka.m7g.large."
  }

  validation {
    condition     = var.broker.volume_gib >= 1 && var.broker.max_volume_gib >= var.broker.volume_gib && var.broker.max_volume_gib <= 16384
    error_message = "broker: volume_gib must be 1 or more, and max_volume_gib between it and 16384."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which the brokers' logs stay in CloudWatch."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}
