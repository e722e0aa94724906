variable "name" {
  type        = string
  description = "Prefix of all names, and the name of the workgroup."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,31}$", var.name)) && !strcontains(var.name, "--")
    error_message = "name: use 2 to 32 lower-case letters, digits and single dashes, beginning with a letter."
  }
}

variable "database" {
  type        = string
  description = "Database of the Glue catalog that the Pipeline registers its Gold tables in."

  validation {
    condition     = can(regex("^[a-z][a-z0-9_]{0,127}$", var.database))
    error_message = "database: Athena takes up to 128 lower-case letters, digits and underscores, beginning with a letter."
  }
}

variable "gold" {
  type = object({
    bucket_arn  = string
    kms_key_arn = string
  })
  description = "The Gold bucket, and the key that encrypts it."

  validation {
    condition     = can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", var.gold.bucket_arn))
    error_message = "gold: bucket_arn is arn:PARTITION:s3:::NAME, without wildcards."
  }
}

variable "result_bucket_suffix" {
  type        = string
  description = "What makes the name of the results' bucket, name-athena-suffix, one of its kind. The account's id is a good one."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{0,19}$", var.result_bucket_suffix))
    error_message = "result_bucket_suffix: use up to 20 lower-case letters, digits and dashes, for example the account's id."
  }
}

variable "access_log_bucket" {
  type        = string
  description = "Bucket that receives the access log of the results' bucket."
}

variable "result_days" {
  type        = number
  description = "Days after which results are deleted. They can be had again by asking again."
  default     = 30

  validation {
    condition     = var.result_days >= 1 && var.result_days <= 365
    error_message = "result_days: keep results for 1 to 365 days."
  }
}

variable "bytes_limit" {
  type        = number
  description = "Bytes that one query may read; a query that wants more is cancelled, and what it has read is paid. Athena takes 10 MB at least."
  default     = 107374182400

  validation {
    condition     = var.bytes_limit >= 10485760
    error_message = "bytes_limit: Athena takes 10485760 (10 MB) or more."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether `destroy` also deletes results and the workgroup's history. For environments that may be lost."
  default     = false
}
