variable "name" {
  type        = string
  description = "Name of the key's alias, without `alias/`."

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9/_-]{1,200}$", var.name)) && !startswith(var.name, "aws/")
    error_message = "name: use 2 to 201 lower-case letters, digits, dashes, underscores or slashes; names under aws/ are Amazon's."
  }
}

variable "description" {
  type        = string
  description = "What the key encrypts, as the console shows it."
}

variable "services" {
  type        = list(string)
  description = "Services through which identities of this account may use the key, as in `s3` or `dynamodb`: the key is of no use outside of them."

  validation {
    condition     = length(var.services) > 0 && alltrue([for service in var.services : can(regex("^[a-z][a-z0-9-]*$", service))])
    error_message = "services: name at least one service by the word in its host name, for example s3."
  }
}

variable "service_principals" {
  type = list(object({
    principal  = string
    actions    = list(string)
    conditions = optional(map(map(list(string))), {})
  }))
  description = "Services that use the key in their own name, such as CloudWatch Logs: principal, actions, and conditions as operator to key to values."
  default     = []

  validation {
    condition = alltrue([
      for entry in var.service_principals :
      length(entry.actions) > 0 && alltrue([for action in entry.actions : can(regex("^kms:[A-Za-z]+$", action))])
    ])
    error_message = "service_principals: name each action of KMS in full, for example kms:Decrypt; no wildcards."
  }
}

variable "deletion_window_days" {
  type        = number
  description = "Days between the order to delete the key and its end. What it encrypted is lost with it."
  default     = 30

  validation {
    condition     = var.deletion_window_days >= 7 && var.deletion_window_days <= 30
    error_message = "deletion_window_days: AWS takes 7 to 30 days."
  }
}
