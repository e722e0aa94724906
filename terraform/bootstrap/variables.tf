variable "account_id" {
  type        = string
  description = "Account in which the states are kept; Terraform refuses to work in another."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: twelve digits, as `aws sts get-caller-identity` shows them."
  }
}

variable "region" {
  type        = string
  description = "Region of the states."
  default     = "eu-west-1"
}

variable "name" {
  type        = string
  description = "First word of the bucket's name."
  default     = "shop"

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,20}$", var.name))
    error_message = "name: use 2 to 21 lower-case letters, digits and dashes, beginning with a letter."
  }
}

variable "bucket_name" {
  type        = string
  description = "Another name for the bucket. Null: NAME-terraform-ACCOUNT."
  default     = null
}

variable "lock" {
  type        = string
  description = "`S3`, `DynamoDB` (for Terraform before 1.10) or `Both`."
  default     = "S3"
}
