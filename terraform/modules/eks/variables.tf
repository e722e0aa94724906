variable "name" {
  type        = string
  description = "Name of the cluster, and prefix of its roles."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{0,49}$", var.name))
    error_message = "name: use up to 50 letters, digits and dashes, beginning with a letter; its roles add to it and may have 64 characters."
  }
}

variable "existing" {
  type = object({
    name              = string
    endpoint          = string
    security_group_id = string
    oidc_provider_arn = optional(string)
    oidc_issuer       = optional(string)
  })
  description = "A cluster that is there already, with the add-on eks-pod-identity-agent or an OIDC provider; nothing is made. Null: a new one."
  default     = null
}

variable "kubernetes_version" {
  type        = string
  description = "Version of a new cluster."
  default     = "1.35"

  validation {
    condition     = can(regex("^1\\.(3[1-9]|[4-9][0-9])$", var.kubernetes_version))
    error_message = "kubernetes_version: 1.31 or later, as in 1.35."
  }
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets of nodes and control plane."

  validation {
    condition     = var.existing != null || length(distinct(var.subnet_ids)) >= 2
    error_message = "subnet_ids: give at least two private subnets, each in another zone."
  }
}

variable "public_access_cidrs" {
  type        = list(string)
  description = "Address ranges that reach the API server over the internet. Empty: it is reached inside of the VPC alone."
  default     = []

  validation {
    condition     = alltrue([for range in var.public_access_cidrs : can(cidrnetmask(range)) && !endswith(range, "/0")])
    error_message = "public_access_cidrs: name the address ranges of your own, for example 203.0.113.0/24; never all of the internet."
  }
}

variable "nodes" {
  type = object({
    instance_types = optional(list(string), ["m7i.large"])
    ami_type       = optional(string, "AL2023_x86_64_STANDARD")
    min            = optional(number, 2)
    max            = optional(number, 6)
    desired        = optional(number, 2)
    volume_gib     = optional(number, 80)
  })
  description = "The nodes of a new cluster. Images must be built for their processors: those of this repository are for x86_64."
  default     = {}

  validation {
    condition     = var.nodes.min >= 1 && var.nodes.desired >= var.nodes.min && var.nodes.max >= var.nodes.desired
    error_message = "nodes: min must be 1 or more, and desired between min and max."
  }

  validation {
    condition     = var.nodes.volume_gib >= 30
    error_message = "nodes: volume_gib must be 30 or more; images and DuckDB's scratch files lie there."
  }
}

variable "log_retention_days" {
  type        = number
  description = "Days for which the control plane's logs stay in CloudWatch."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.log_retention_days)
    error_message = "log_retention_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}

variable "admin_role_arns" {
  type        = map(string)
  description = "IAM roles that administer a new cluster, by a name of one's own. Whoever made it is none of them by itself."
  default     = {}

  validation {
    condition     = alltrue([for arn in values(var.admin_role_arns) : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/", arn))])
    error_message = "admin_role_arns: give ARNs of IAM roles, for example arn:aws:iam::123456789012:role/platform."
  }
}

variable "irsa" {
  type        = bool
  description = "Whether a new cluster gets an IAM OIDC provider, for roles by service account (IRSA) where Pod Identity is not to be had."
  default     = false
}

variable "deletion_protection" {
  type        = bool
  description = "Whether a new cluster refuses to be deleted."
  default     = true
}
