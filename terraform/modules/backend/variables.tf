variable "bucket_name" {
  type        = string
  description = "Bucket of the state files, one of its kind in the whole partition."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,57}[a-z0-9]$", var.bucket_name)) && !strcontains(var.bucket_name, "--")
    error_message = "bucket_name: use 3 to 59 lower-case letters, digits and single dashes; its log bucket adds -log and S3 takes 63."
  }
}

variable "lock" {
  type        = string
  description = "`S3`: a lock file beside the state, for Terraform 1.10 and later. `DynamoDB`: a table, for older ones. `Both`: while changing from one to the other."
  default     = "S3"

  validation {
    condition     = contains(["S3", "DynamoDB", "Both"], var.lock)
    error_message = "lock: must be S3, DynamoDB or Both."
  }
}

variable "noncurrent_days" {
  type        = number
  description = "Days for which old states are kept."
  default     = 365

  validation {
    condition     = var.noncurrent_days >= 30
    error_message = "noncurrent_days: keep old states for 30 days or more; a spoilt one is mended from them."
  }
}
