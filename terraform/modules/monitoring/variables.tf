variable "name" {
  type        = string
  description = "Prefix of all names: alarms are called name-ALARM."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,63}$", var.name))
    error_message = "name: use 2 to 64 letters, digits and dashes, beginning with a letter."
  }
}

variable "pipeline" {
  type        = string
  description = "Name of the Pipeline, as its metrics and its log lines have it."

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.pipeline))
    error_message = "pipeline: use up to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit."
  }
}

variable "namespace" {
  type        = string
  description = "Namespace of the Pipeline."

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: use up to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit."
  }
}

variable "topic_arn" {
  type        = string
  description = "SNS topic that alarms are sent to, and their end."

  validation {
    condition     = can(regex("^arn:[a-z-]+:sns:[a-z0-9-]+:[0-9]{12}:[a-zA-Z0-9_-]{1,256}$", var.topic_arn))
    error_message = "topic_arn: give the ARN of an SNS topic, arn:PARTITION:sns:REGION:ACCOUNT:NAME."
  }
}

variable "alarm_pages" {
  type        = string
  description = "Where docs/alarms.md of this product can be read, as https://...: each alarm's message ends with the address of its page there."

  validation {
    condition     = can(regex("^https://[^#\\s]+$", var.alarm_pages))
    error_message = "alarm_pages: give an address of https:// without a fragment, for example https://git.example.com/data/medallion/blob/main/docs/alarms.md."
  }
}

variable "table_name" {
  type        = string
  description = "DynamoDB table."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.table_name))
    error_message = "table_name: DynamoDB takes 3 to 255 letters, digits, underscores, dashes and dots."
  }
}

variable "kafka" {
  type = object({
    type         = string
    cluster_name = string
    topic        = string
    brokers      = optional(number, 3)
  })
  description = "The MSK cluster: type `Serverless` or `Provisioned`, and how many brokers it has. Null: other brokers, which CloudWatch knows nothing of."
  default     = null

  validation {
    condition     = var.kafka == null ? true : contains(["Serverless", "Provisioned"], var.kafka.type)
    error_message = "kafka: type must be Serverless or Provisioned."
  }

  validation {
    condition     = var.kafka == null ? true : var.kafka.brokers >= 1 && var.kafka.brokers <= 30
    error_message = "kafka: brokers must be 1 to 30."
  }
}

variable "warehouse" {
  type = object({
    type               = string
    workgroup_name     = optional(string)
    cluster_identifier = optional(string)
    usage_limit_id     = string
    usage_limit_amount = number
  })
  description = "Redshift, as the outputs of redshift_cluster say it. Null: none."
  default     = null

  validation {
    condition     = var.warehouse == null ? true : contains(["Serverless", "Cluster"], var.warehouse.type)
    error_message = "warehouse: type must be Serverless or Cluster."
  }
}

variable "functions" {
  type = object({
    gateway = optional(object({
      function_name = string
      api_id        = string
    }))
    exporter = optional(object({
      function_name = string
    }))
  })
  description = "Functions in the place of pods, as the outputs of gateway_lambda say them."
  default     = {}
}

variable "function_log_groups" {
  type        = map(string)
  description = "Log groups of the functions, by function: errors are looked for in these, too."
  default     = {}

  validation {
    condition     = alltrue([for function in keys(var.function_log_groups) : contains(["gateway", "exporter"], function)])
    error_message = "function_log_groups: the functions are gateway and exporter."
  }
}

variable "limits" {
  type = object({
    age_seconds = optional(map(number), {
      persist   = 300
      bronze    = 900
      silver    = 1800
      gold      = 3600
      warehouse = 5400
    })
    stream_lag_seconds     = optional(number, 3600)
    dead_letters           = optional(number, 100)
    consumer_lag_records   = optional(number, 100000)
    retention_used_percent = optional(number, 50)
    event_rate_deviations  = optional(number, 3)
  })
  description = "From where on an alarm fires, each after five minutes in a row. age_seconds is the age of a stage's oldest input that is not processed, by stage: some times `maxAgeSeconds` of the Pipeline, which says what is fresh, not when somebody is woken. dead_letters is `spec.deadLetters.maxCount`."
  default     = {}

  validation {
    condition     = length(var.limits.age_seconds) > 0 && alltrue([for stage in keys(var.limits.age_seconds) : contains(["persist", "bronze", "silver", "gold", "warehouse"], stage)])
    error_message = "limits: age_seconds is by stage, of persist, bronze, silver, gold and warehouse."
  }

  validation {
    condition     = alltrue([for age in values(var.limits.age_seconds) : age >= 60])
    error_message = "limits: age_seconds must be 60 or more each."
  }

  validation {
    condition     = var.limits.stream_lag_seconds >= 60 && var.limits.stream_lag_seconds <= 72000
    error_message = "limits: stream_lag_seconds must be 60 to 72000 (20 hours); the stream forgets after 24 hours."
  }

  validation {
    condition     = var.limits.dead_letters >= 0 && var.limits.consumer_lag_records >= 0
    error_message = "limits: dead_letters and consumer_lag_records must be 0 or more."
  }

  validation {
    condition     = var.limits.retention_used_percent >= 10 && var.limits.retention_used_percent <= 90
    error_message = "limits: retention_used_percent must be 10 to 90; who is told later has no time left."
  }

  validation {
    condition     = var.limits.event_rate_deviations >= 1 && var.limits.event_rate_deviations <= 10
    error_message = "limits: event_rate_deviations must be 1 to 10 standard deviations."
  }
}

variable "agent" {
  type = object({
    cluster_name      = string
    namespace         = optional(string, "amazon-cloudwatch")
    service_account   = optional(string, "cloudwatch-agent")
    oidc_provider_arn = optional(string)
  })
  description = "The service account that sends logs and metrics, of the CloudWatch agent or Fluent Bit: it gets a role by EKS Pod Identity, or by IRSA where oidc_provider_arn names the cluster's IAM OIDC provider. Null: somebody else gives it one."
  default     = null

  validation {
    condition     = var.agent == null ? true : alltrue([for name in [var.agent.namespace, var.agent.service_account] : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", name))])
    error_message = "agent: namespace and service_account are names as in Kubernetes, for example amazon-cloudwatch and cloudwatch-agent; no wildcards."
  }

  validation {
    condition     = try(var.agent.oidc_provider_arn, null) == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/.+", var.agent.oidc_provider_arn))
    error_message = "agent: oidc_provider_arn is the ARN of an IAM OIDC provider, arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST/id/ID."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which the workers' and the operator's logs stay in CloudWatch."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}
