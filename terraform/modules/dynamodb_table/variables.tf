variable "name" {
  type        = string
  description = "Name of the table, as in `spec.table.name` of the Pipeline."

  validation {
    condition     = can(regex("^[a-zA-Z0-9_.-]{3,255}$", var.name))
    error_message = "name: DynamoDB takes 3 to 255 letters, digits, underscores, dashes and dots."
  }
}

variable "key_name" {
  type        = string
  description = "Alias of the table's KMS key, without `alias/`."
}

variable "capacity" {
  type = object({
    mode = string
    read = optional(object({
      min            = number
      max            = number
      target_percent = optional(number, 70)
    }))
    write = optional(object({
      min            = number
      max            = number
      target_percent = optional(number, 70)
    }))
  })
  description = "mode `OnDemand`, or `Provisioned` with read and write: units between min and max, scaled so that target_percent of them is in use."
  default     = { mode = "OnDemand" }

  validation {
    condition     = contains(["OnDemand", "Provisioned"], var.capacity.mode)
    error_message = "capacity: mode must be OnDemand or Provisioned."
  }

  validation {
    condition     = var.capacity.mode == "OnDemand" ? var.capacity.read == null && var.capacity.write == null : var.capacity.read != null && var.capacity.write != null
    error_message = "capacity: give read and write with mode Provisioned, and neither with OnDemand."
  }

  validation {
    condition     = alltrue([for units in [var.capacity.read, var.capacity.write] : units == null ? true : units.min >= 1 && units.max >= units.min])
    error_message = "capacity: min must be 1 or more, and max not less than min."
  }

  validation {
    condition     = alltrue([for units in [var.capacity.read, var.capacity.write] : units == null ? true : units.target_percent >= 20 && units.target_percent <= 90])
    error_message = "capacity: target_percent must be 20 to 90, which is what autoscaling takes."
  }
}

variable "ttl_attribute" {
  type        = string
  description = "Attribute with the time of an item's expiry, as the consumer writes it where the Pipeline has `spec.table.expireAfterDays`. Null: items stay. Taken back later, AWS goes on deleting what carries a time until `aws dynamodb update-time-to-live` says otherwise: the provider leaves it on."
  default     = null

  validation {
    condition     = var.ttl_attribute == null ? true : length(var.ttl_attribute) >= 1 && length(var.ttl_attribute) <= 255
    error_message = "ttl_attribute: name an attribute of 1 to 255 characters, or null."
  }
}

variable "recovery_days" {
  type        = number
  description = "Days back to which the table can be restored, second by second."
  default     = 35

  validation {
    condition     = var.recovery_days >= 1 && var.recovery_days <= 35
    error_message = "recovery_days: point-in-time recovery reaches back 1 to 35 days."
  }
}

variable "deletion_protection" {
  type        = bool
  description = "Whether the table refuses to be deleted, by Terraform or anybody."
  default     = true
}
