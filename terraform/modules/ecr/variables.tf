variable "prefix" {
  type        = string
  description = "The repositories are called prefix/NAME."

  validation {
    condition     = can(regex("^[a-z0-9]+([._-][a-z0-9]+)*$", var.prefix)) && length(var.prefix) <= 100
    error_message = "prefix: use up to 100 lower-case letters and digits, with single dots, dashes or underscores between them."
  }
}

variable "repositories" {
  type        = set(string)
  description = "Images: the product's `medallion`, and one for each dbt project."
  default     = ["medallion", "dbt-purchases"]

  validation {
    condition     = alltrue([for name in var.repositories : can(regex("^[a-z0-9]+([._-][a-z0-9]+)*$", name)) && length(name) <= 100])
    error_message = "repositories: use up to 100 lower-case letters and digits, with single dots, dashes or underscores between them."
  }
}

variable "untagged_days" {
  type        = number
  description = "Days for which images without a tag are kept; those with one stay."
  default     = 14

  validation {
    condition     = var.untagged_days >= 1
    error_message = "untagged_days: 1 or more."
  }
}

variable "force_delete" {
  type        = bool
  description = "Whether `destroy` also deletes the images."
  default     = false
}
