variable "name" {
  type        = string
  description = "Prefix of all names."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,47}$", var.name))
    error_message = "name: use 2 to 48 letters, digits and dashes, beginning with a letter; roles add to it and may have 64 characters."
  }
}

variable "existing" {
  type = object({
    vpc_id                  = string
    cidr_block              = string
    private_subnet_ids      = list(string)
    private_route_table_ids = list(string)
  })
  description = "A VPC that is there already; nothing is made in it but the endpoints. Null: a new one."
  default     = null

  validation {
    condition     = var.existing == null ? true : length(var.existing.private_subnet_ids) >= 2
    error_message = "existing: give at least two private subnets, each in another zone; three for a provisioned Kafka."
  }
}

variable "cidr_block" {
  type        = string
  description = "Addresses of a new VPC; each zone gets a private sixteenth and a public one of its 256ths."
  default     = "10.60.0.0/16"

  validation {
    condition     = can(cidrnetmask(var.cidr_block)) && try(tonumber(split("/", var.cidr_block)[1]) <= 20 && tonumber(split("/", var.cidr_block)[1]) >= 16, false)
    error_message = "cidr_block: give an IPv4 range of /16 to /20, for example 10.60.0.0/16; pods have addresses of their own."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of a new VPC: three."
  default     = []

  validation {
    condition     = var.existing != null ? true : length(distinct(var.availability_zones)) == 3
    error_message = "availability_zones: name three zones of the region, for example eu-west-1a, eu-west-1b and eu-west-1c."
  }
}

variable "nat_gateways" {
  type        = string
  description = "How private subnets reach what has no endpoint: `PerZone`, `Single` (a zone's failure cuts all off), or `None`."
  default     = "PerZone"

  validation {
    condition     = contains(["PerZone", "Single", "None"], var.nat_gateways)
    error_message = "nat_gateways: must be PerZone, Single or None."
  }
}

variable "gateway_endpoints" {
  type        = set(string)
  nullable    = false
  description = "Services reached through gateway endpoints, which cost nothing. Empty for an existing VPC that has them."
  default     = ["s3", "dynamodb"]

  validation {
    condition     = alltrue([for service in var.gateway_endpoints : contains(["s3", "dynamodb"], service)])
    error_message = "gateway_endpoints: only s3 and dynamodb have gateway endpoints; name others in interface_endpoints."
  }
}

variable "interface_endpoints" {
  type        = set(string)
  nullable    = false
  description = "Services reached through interface endpoints, each some 7 USD a month and zone. Without one, the way leads through a NAT gateway. dynamodb-streams has no private DNS: name it where there is no NAT gateway, and tell the workers its host (docs/aws.md)."
  default = [
    "ec2", "ecr.api", "ecr.dkr", "eks-auth", "glue", "kms", "logs", "monitoring", "redshift-data", "secretsmanager", "sns",
    "sts",
  ]

  validation {
    condition     = alltrue([for service in var.interface_endpoints : can(regex("^[a-z0-9-]+([.][a-z0-9-]+)*$", service))])
    error_message = "interface_endpoints: name services as in com.amazonaws.REGION.NAME, for example redshift-data."
  }
}

variable "flow_log_days" {
  type        = number
  description = "Days for which the flow logs of a new VPC are kept."
  default     = 30

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_days)
    error_message = "flow_log_days: CloudWatch takes 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731."
  }
}
