variable "prefix" {
  type        = string
  description = "The buckets are called prefix-LAYER-suffix."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,31}$", var.prefix)) && !strcontains(var.prefix, "--")
    error_message = "prefix: use 2 to 32 lower-case letters, digits and single dashes, beginning with a letter."
  }
}

variable "suffix" {
  type        = string
  description = "What makes the names one of their kind: bucket names are shared by all accounts. The account's id is a good one. Null: none."
  default     = null

  validation {
    condition     = var.suffix == null ? true : can(regex("^[a-z0-9][a-z0-9-]{0,19}$", var.suffix))
    error_message = "suffix: use up to 20 lower-case letters, digits and dashes, for example the account's id."
  }
}

variable "noncurrent_days" {
  type        = number
  description = "Days for which replaced and deleted objects can be brought back (docs/runbooks.md)."
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 7 && var.noncurrent_days <= 3650
    error_message = "noncurrent_days: keep old versions for 7 to 3650 days; what is gone from them cannot be brought back."
  }
}

variable "transition" {
  type = object({
    days          = number
    storage_class = string
  })
  description = "Cheaper storage class for objects of this age: INTELLIGENT_TIERING, STANDARD_IA or GLACIER_IR, which all read at once. Null: none."
  default     = null
}

variable "access_log_days" {
  type        = number
  description = "Days for which access logs are kept."
  default     = 90

  validation {
    condition     = var.access_log_days >= 1
    error_message = "access_log_days: 1 or more."
  }
}

variable "force_destroy" {
  type        = bool
  description = "Whether `destroy` also deletes the data. For environments that may be lost."
  default     = false
}
