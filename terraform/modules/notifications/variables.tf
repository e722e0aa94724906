variable "name" {
  type        = string
  description = "Prefix of the topic's name: it is called name-alerts."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,99}$", var.name))
    error_message = "name: use 2 to 100 letters, digits and dashes, beginning with a letter."
  }
}

variable "emails" {
  type        = set(string)
  description = "Who is told. Each gets a message by AWS that must be confirmed within three days; until then nothing reaches them."
  default     = []

  validation {
    condition     = alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "emails: give addresses such as data-team@example.com."
  }
}

variable "publisher_role_arns" {
  type        = set(string)
  description = "Roles of this account that publish beside CloudWatch. The topic's policy alone does not let them; their own must as well."
  default     = []

  validation {
    condition     = alltrue([for arn in var.publisher_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/[^*]+$", arn))])
    error_message = "publisher_role_arns: give ARNs of roles, arn:PARTITION:iam::ACCOUNT:role/NAME, without wildcards."
  }
}
