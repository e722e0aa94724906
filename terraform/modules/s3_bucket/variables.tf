variable "name" {
  type        = string
  description = "Name of the bucket, one of its kind in the whole partition."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.name)) && !strcontains(var.name, "--")
    error_message = "name: S3 takes 3 to 63 lower-case letters, digits and single dashes, beginning and ending with a letter or digit."
  }
}

variable "kms_key_arn" {
  type        = string
  description = "Key that encrypts the objects. Null for a bucket that log delivery writes."
  default     = null

  validation {
    condition     = (var.kms_key_arn == null) == var.for_log_delivery
    error_message = "kms_key_arn: give the ARN of a key; only a bucket with for_log_delivery has none, because S3 writes access logs with its own keys alone."
  }
}

variable "for_log_delivery" {
  type        = bool
  description = "Whether S3 itself writes access logs into the bucket: then it is encrypted by Amazon's own keys (SSE-S3)."
  default     = false
}

variable "access_log_bucket" {
  type        = string
  description = "Bucket that receives the access log, under the name of this bucket. Null: none, for the log bucket itself."
  default     = null
}

variable "force_destroy" {
  type        = bool
  description = "Whether `destroy` also deletes what is in the bucket, versions included. For environments that may be lost."
  default     = false
}

variable "protect_delta_log" {
  type        = bool
  description = "Whether an entry of a Delta log may only be created where none is: the bucket refuses what has no If-None-Match."
  default     = false
}

variable "noncurrent_days" {
  type        = number
  description = "Days for which replaced and deleted objects can be brought back."
  default     = 30

  validation {
    condition     = var.noncurrent_days >= 7 && var.noncurrent_days <= 3650
    error_message = "noncurrent_days: keep old versions for 7 to 3650 days; what is gone from them cannot be brought back."
  }
}

variable "abort_uploads_days" {
  type        = number
  description = "Days after which parts of an upload that was never completed are deleted."
  default     = 7

  validation {
    condition     = var.abort_uploads_days >= 1 && var.abort_uploads_days <= 30
    error_message = "abort_uploads_days: give unfinished uploads 1 to 30 days."
  }
}

variable "transition" {
  type = object({
    days          = number
    storage_class = string
  })
  description = "Cheaper storage class for objects of this age. Null: none."
  default     = null

  validation {
    condition     = var.transition == null ? true : contains(["INTELLIGENT_TIERING", "STANDARD_IA", "GLACIER_IR"], var.transition.storage_class)
    error_message = "transition: storage_class must be INTELLIGENT_TIERING, STANDARD_IA or GLACIER_IR; queries read all data at once, and the others must be restored first."
  }

  validation {
    condition     = var.transition == null ? true : var.transition.days >= 30
    error_message = "transition: days must be 30 or more; S3 moves nothing earlier into these classes."
  }
}

variable "expire_days" {
  type        = number
  description = "Days after which current objects are deleted. Null: never, as the lake needs it. For logs and query results."
  default     = null

  validation {
    condition     = var.expire_days == null ? true : var.expire_days >= 1
    error_message = "expire_days: 1 or more, or null for never."
  }

  validation {
    condition     = var.expire_days == null || !var.protect_delta_log
    error_message = "expire_days: a bucket with Delta tables must not expire objects: the tables' logs say which are still needed."
  }
}

variable "policy_statements" {
  type        = string
  description = "Further statements of the bucket's policy: jsonencode of a list."
  default     = "[]"

  validation {
    condition     = can([for statement in jsondecode(var.policy_statements) : statement.Effect])
    error_message = "policy_statements: give jsonencode([{...}]) of statements that each have an Effect."
  }
}
