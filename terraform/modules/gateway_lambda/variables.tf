variable "name" {
  type        = string
  description = "Prefix of all names: the functions are called name-gateway and name-exporter."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,47}$", var.name))
    error_message = "name: use 2 to 48 letters, digits and dashes, beginning with a letter; functions and roles add to it and may have 64 characters."
  }
}

variable "architecture" {
  type        = string
  description = "Processor of the functions, `arm64` or `x86_64`; the packages must be built for it."
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture: must be arm64 or x86_64, the one that the packages were built for."
  }
}

variable "vpc" {
  type = object({
    id         = string
    cidr_block = string
    subnet_ids = list(string)
  })
  description = "Where the functions run: private subnets from which brokers, DynamoDB and S3 are reached."

  validation {
    condition     = length(distinct(var.vpc.subnet_ids)) >= 2
    error_message = "vpc: give at least two private subnets, each in another zone."
  }

  validation {
    condition     = can(cidrnetmask(var.vpc.cidr_block))
    error_message = "vpc: cidr_block is the VPC's IPv4 range, for example 10.60.0.0/16."
  }
}

variable "kafka" {
  type = object({
    cluster_arn = string
    topic       = string
  })
  description = "The MSK cluster whose brokers know the gateway by IAM. Null: other brokers, whose user and password are among gateway.secret_arns."
  default     = null

  validation {
    condition     = var.kafka == null ? true : can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/*]+/[^/*]+$", var.kafka.cluster_arn))
    error_message = "kafka: cluster_arn is arn:PARTITION:kafka:REGION:ACCOUNT:cluster/NAME/ID, without wildcards."
  }
}

variable "gateway" {
  type = object({
    package              = string
    memory_mib           = optional(number, 512)
    reserved_concurrency = optional(number, 50)
    requests_per_second  = optional(number, 500)
    request_burst        = optional(number, 1000)
    authorization        = optional(string, "NONE")
    secret_arns          = optional(list(string), [])
    # Keys that encrypt the secrets, if these have keys of one's own.
    secret_kms_key_arns   = optional(list(string), [])
    secrets_extension_arn = optional(string)
  })
  description = "The gateway's function and its HTTP API: package is the zip that `medallion-operator function` made. reserved_concurrency bounds what reaches the brokers, 0 suspends the stage. authorization: `NONE` (the function checks the tokens among secret_arns) or `AWS_IAM`. Null: the gateway runs in the cluster."
  default     = null

  validation {
    condition     = var.gateway == null ? true : fileexists(var.gateway.package)
    error_message = "gateway: package is not there; make it by medallion-operator function --manifest pipeline.yaml --program gateway-lambda --into gateway.zip (docs/lambda.md)."
  }

  validation {
    condition     = var.gateway == null ? true : var.gateway.memory_mib >= 512 && var.gateway.memory_mib <= 10240
    error_message = "gateway: memory_mib must be 512 to 10240; processors come with memory."
  }

  validation {
    condition     = var.gateway == null ? true : var.gateway.reserved_concurrency >= 0
    error_message = "gateway: reserved_concurrency must be 0 (suspended) or more."
  }

  validation {
    condition     = var.gateway == null ? true : var.gateway.requests_per_second >= 1 && var.gateway.request_burst >= var.gateway.requests_per_second / 10
    error_message = "gateway: requests_per_second must be 1 or more, and request_burst at least a tenth of it."
  }

  validation {
    condition     = var.gateway == null ? true : contains(["NONE", "AWS_IAM"], var.gateway.authorization)
    error_message = "gateway: authorization must be NONE or AWS_IAM."
  }

  validation {
    condition     = var.gateway == null ? true : var.gateway.authorization == "AWS_IAM" || length(var.gateway.secret_arns) > 0
    error_message = "gateway: with authorization NONE anybody may post; name the secret with the tokens in secret_arns, or use AWS_IAM."
  }

  validation {
    condition     = var.gateway == null ? true : alltrue([for arn in var.gateway.secret_arns : can(regex("^arn:[a-z-]+:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[^*]+$", arn))])
    error_message = "gateway: secret_arns are ARNs of secrets, arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:NAME, without wildcards."
  }

  validation {
    condition     = var.gateway == null ? true : length(var.gateway.secret_arns) == 0 || var.gateway.secrets_extension_arn != null
    error_message = "gateway: secrets come by the layer AWS Parameters and Secrets Lambda Extension; give its ARN for region and architecture in secrets_extension_arn."
  }
}

variable "exporter" {
  type = object({
    package           = string
    table_arn         = string
    stream_arn        = string
    bronze_bucket_arn = string
    kms_key_arns      = list(string)
    memory_mib        = optional(number, 512)
    window_seconds    = optional(number, 60)
    # False while the exporter's pod writes Bronze; it does no harm, and costs invocations.
    enabled = optional(bool, true)
  })
  description = "The function that writes Bronze from the table's stream (`stages.bronze.runsOn: Lambda`): package is the zip that `medallion-operator function --stage bronze` made; window_seconds is `flush.maxAgeSeconds`. Null: the exporter is a pod."
  default     = null

  validation {
    condition     = var.exporter == null ? true : fileexists(var.exporter.package)
    error_message = "exporter: package is not there; make it by medallion-operator function --stage bronze --manifest pipeline.yaml --program exporter-lambda --into exporter.zip (docs/lambda-bronze.md)."
  }

  validation {
    condition     = var.exporter == null ? true : can(regex("^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]+/stream/.+$", var.exporter.stream_arn)) && startswith(var.exporter.stream_arn, "${var.exporter.table_arn}/stream/")
    error_message = "exporter: stream_arn is that of the stream of table_arn, arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME/stream/TIME."
  }

  validation {
    condition     = var.exporter == null ? true : var.exporter.memory_mib >= 512 && var.exporter.memory_mib <= 10240
    error_message = "exporter: memory_mib must be 512 to 10240; a batch of 6 MB is encoded in memory."
  }

  validation {
    condition     = var.exporter == null ? true : var.exporter.window_seconds >= 0 && var.exporter.window_seconds <= 300
    error_message = "exporter: window_seconds must be 0 to 300, which is what Lambda waits for a batch."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which logs of functions and API stay in CloudWatch."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "log_level" {
  type        = string
  description = "Least level of the functions' log: error, warn, info or debug."
  default     = "info"

  validation {
    condition     = contains(["error", "warn", "info", "debug"], var.log_level)
    error_message = "log_level: must be error, warn, info or debug."
  }
}

variable "environment" {
  type        = map(string)
  description = "More environment variables of the functions: a proxy (`HTTPS_PROXY`, `NO_PROXY`), endpoints (`AWS_USE_FIPS_ENDPOINT`, `AWS_USE_DUALSTACK_ENDPOINT`, `AWS_ENDPOINT_URL_S3`), a bundle of authorities from a layer (`SSL_CERT_FILE`), metrics among the log lines (`MEDALLION_EMBEDDED_METRICS`). No secrets: these are among gateway.secret_arns."
  default     = {}

  validation {
    condition     = alltrue([for name in keys(var.environment) : can(regex("^[a-zA-Z][a-zA-Z0-9_]+$", name))])
    error_message = "environment: Lambda takes names of letters, digits and underscores that begin with a letter and have two characters or more."
  }

  validation {
    condition     = length(setintersection(keys(var.environment), ["MEDALLION_SECRETS", "MEDALLION_SETTINGS", "RUST_LOG"])) == 0
    error_message = "environment: secrets stand in gateway.secret_arns, the level in log_level, and settings in the package."
  }

  validation {
    condition     = length(setintersection(keys(var.environment), ["AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ACCESS_KEY", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "_HANDLER", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"])) == 0 && alltrue([for name in keys(var.environment) : !startswith(name, "AWS_LAMBDA_")])
    error_message = "environment: region, credentials and AWS_LAMBDA_... are Lambda's own; it refuses a function that sets them."
  }
}
