variable "account_id" {
  type        = string
  description = "Account of this environment; Terraform refuses to work in another."

  validation {
    condition     = can(regex("^[0-9]{12}$", var.account_id))
    error_message = "account_id: twelve digits, as `aws sts get-caller-identity` shows them."
  }
}

variable "name" {
  type        = string
  description = "Name of the company or shop; with the environment the prefix of all names."
  default     = "shop"
}

variable "region" {
  type        = string
  description = "Region of everything."
  default     = "eu-west-1"
}

variable "availability_zones" {
  type        = list(string)
  description = "Three zones of the region. Null: REGIONa, REGIONb and REGIONc, which not every account has everywhere."
  default     = null
}

variable "emails" {
  type        = set(string)
  description = "Who is told of alarms. Each address gets a message by AWS that must be confirmed."
}

variable "alarm_pages" {
  type        = string
  description = "Where docs/alarms.md can be read by those who are told, as https://..."
}

variable "admin_role_arns" {
  type        = map(string)
  description = "IAM roles that administer the cluster, by a name of one's own."
  default     = {}
}

variable "public_access_cidrs" {
  type        = list(string)
  description = "Address ranges from which the API server is reached over the internet. Empty: from inside of the VPC alone."
  default     = []
}

variable "functions" {
  type = object({
    gateway = optional(object({
      package               = string
      reserved_concurrency  = optional(number, 50)
      authorization         = optional(string, "NONE")
      secret_arns           = optional(list(string), [])
      secret_kms_key_arns   = optional(list(string), [])
      secrets_extension_arn = optional(string)
    }))
    exporter = optional(object({
      package        = string
      window_seconds = optional(number, 60)
      enabled        = optional(bool, true)
    }))
    architecture = optional(string, "arm64")
  })
  description = "Functions in the place of pods (docs/lambda.md). Null: none."
  default     = null
}
