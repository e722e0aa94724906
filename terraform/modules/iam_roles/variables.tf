variable "name" {
  type        = string
  description = "Prefix of the roles' names: a role is called name-WORKER."

  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9-]{1,47}$", var.name))
    error_message = "name: use 2 to 48 letters, digits and dashes, beginning with a letter; roles add the worker's name and may have 64 characters."
  }
}

variable "pipeline" {
  type        = string
  description = "Name of the Pipeline, as in `metadata.name`. Its workers' service accounts are called pipeline-WORKER, unless service_accounts says otherwise."

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,50}[a-z0-9])?$", var.pipeline))
    error_message = "pipeline: use up to 52 lower-case letters, digits and dashes, beginning and ending with a letter or digit."
  }
}

variable "namespace" {
  type        = string
  description = "Namespace of the Pipeline. Pods of another one get none of the roles."

  validation {
    condition     = can(regex("^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$", var.namespace))
    error_message = "namespace: use up to 63 lower-case letters, digits and dashes, beginning and ending with a letter or digit."
  }
}

variable "service_accounts" {
  type        = map(string)
  description = "Service accounts of one's own by worker, as `serviceAccountName` in the Pipeline's spec names them. A worker that is not named has the one that the operator makes."
  default     = {}

  validation {
    condition     = alltrue([for worker in keys(var.service_accounts) : contains(["provisioner", "gateway", "consumer", "exporter", "dbt-runner", "loader", "cataloger"], worker)])
    error_message = "service_accounts: the workers are provisioner, gateway, consumer, exporter, dbt-runner, loader and cataloger."
  }

  validation {
    condition     = alltrue([for account in values(var.service_accounts) : can(regex("^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$", account))])
    error_message = "service_accounts: name each account as in Kubernetes, for example medallion-loader; no wildcards."
  }

  validation {
    condition     = length(distinct(values(var.service_accounts))) == length(var.service_accounts)
    error_message = "service_accounts: give each worker an account of its own; EKS knows one role an account."
  }
}

variable "cluster_name" {
  type        = string
  description = "EKS cluster whose pods get the roles."

  validation {
    condition     = can(regex("^[a-zA-Z0-9][a-zA-Z0-9_-]{0,99}$", var.cluster_name))
    error_message = "cluster_name: EKS takes up to 100 letters, digits, dashes and underscores."
  }
}

variable "mode" {
  type        = string
  description = "How pods come by a role: `PodIdentity` (the add-on eks-pod-identity-agent hands it out), or `Irsa` (the account's annotation eks.amazonaws.com/role-arn, by the cluster's OIDC provider)."
  default     = "PodIdentity"

  validation {
    condition     = contains(["PodIdentity", "Irsa"], var.mode)
    error_message = "mode: must be PodIdentity or Irsa."
  }

  validation {
    condition     = var.mode != "Irsa" || var.oidc_provider_arn != null
    error_message = "mode: Irsa needs oidc_provider_arn, the IAM OIDC provider of the cluster."
  }
}

variable "oidc_provider_arn" {
  type        = string
  description = "IAM OIDC provider of the cluster, for mode Irsa."
  default     = null

  validation {
    condition     = var.oidc_provider_arn == null ? true : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:oidc-provider/.+", var.oidc_provider_arn))
    error_message = "oidc_provider_arn: give the ARN of an IAM OIDC provider, arn:PARTITION:iam::ACCOUNT:oidc-provider/HOST/id/ID."
  }
}

variable "kafka" {
  type = object({
    cluster_arn       = string
    topic             = string
    dead_letter_topic = string
    consumer_group    = optional(string)
  })
  description = "The MSK cluster whose brokers know the workers by IAM. consumer_group is `spec.kafka.consumerGroup`; left out: whatever the operator calls it, medallion.INSTALLATION.NAMESPACE.PIPELINE. Null: other brokers, which know nothing of IAM, and no role for the gateway."
  default     = null

  validation {
    condition     = var.kafka == null ? true : can(regex("^arn:[a-z-]+:kafka:[a-z0-9-]+:[0-9]{12}:cluster/[^/*]+/[^/*]+$", var.kafka.cluster_arn))
    error_message = "kafka: cluster_arn is arn:PARTITION:kafka:REGION:ACCOUNT:cluster/NAME/ID, without wildcards."
  }

  validation {
    condition     = var.kafka == null ? true : alltrue([for topic in [var.kafka.topic, var.kafka.dead_letter_topic] : can(regex("^[a-zA-Z0-9._-]{1,249}$", topic))])
    error_message = "kafka: topics have up to 249 letters, digits, dots, underscores and dashes; no wildcards."
  }

  validation {
    condition     = try(var.kafka.consumer_group, null) == null ? true : can(regex("^[a-zA-Z0-9._-]{1,249}$", var.kafka.consumer_group))
    error_message = "kafka: consumer_group has up to 249 letters, digits, dots, underscores and dashes; no wildcards."
  }
}

variable "gateway_on_lambda" {
  type        = bool
  description = "Whether the gateway is a function (`stages.ingest.runsOn: Lambda`): then no pod needs a role for it."
  default     = false
}

variable "table" {
  type = object({
    arn         = string
    kms_key_arn = optional(string)
  })
  description = "The DynamoDB table, and the key that encrypts it; without one DynamoDB's own."

  validation {
    condition     = can(regex("^arn:[a-z-]+:dynamodb:[a-z0-9-]+:[0-9]{12}:table/[a-zA-Z0-9_.-]+$", var.table.arn))
    error_message = "table: arn is arn:PARTITION:dynamodb:REGION:ACCOUNT:table/NAME, without wildcards."
  }
}

variable "lake" {
  type = object({
    bronze_bucket_arn = string
    silver_bucket_arn = string
    gold_bucket_arn   = string
    kms_key_arns      = optional(set(string), [])
  })
  description = "The buckets of the layers, and the keys that encrypt them; without any S3's own."

  validation {
    condition     = alltrue([for arn in [var.lake.bronze_bucket_arn, var.lake.silver_bucket_arn, var.lake.gold_bucket_arn] : can(regex("^arn:[a-z-]+:s3:::[a-z0-9.-]{3,63}$", arn))])
    error_message = "lake: give ARNs of buckets, arn:PARTITION:s3:::NAME, without wildcards."
  }

  validation {
    condition     = alltrue([for arn in var.lake.kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/[a-zA-Z0-9-]+$", arn))])
    error_message = "lake: kms_key_arns are ARNs of keys, arn:PARTITION:kms:REGION:ACCOUNT:key/ID; policies know no aliases."
  }
}

variable "warehouse" {
  type = object({
    type               = string
    workgroup_arn      = optional(string)
    cluster_identifier = optional(string)
    database           = optional(string)
  })
  description = "Redshift: type `Serverless` with workgroup_arn, or `Cluster` with cluster_identifier and database. Null: none, and no role for the loader."
  default     = null

  validation {
    condition     = var.warehouse == null ? true : contains(["Serverless", "Cluster"], var.warehouse.type)
    error_message = "warehouse: type must be Serverless or Cluster."
  }

  validation {
    condition     = var.warehouse == null ? true : (var.warehouse.type == "Serverless" ? can(regex("^arn:[a-z-]+:redshift-serverless:[a-z0-9-]+:[0-9]{12}:workgroup/[^*]+$", var.warehouse.workgroup_arn)) : true)
    error_message = "warehouse: type Serverless needs workgroup_arn, arn:PARTITION:redshift-serverless:REGION:ACCOUNT:workgroup/ID."
  }

  validation {
    condition     = var.warehouse == null ? true : (var.warehouse.type == "Cluster" ? can(regex("^[a-z][a-z0-9-]{0,62}$", var.warehouse.cluster_identifier)) && can(regex("^[a-z_][a-z0-9_]{0,126}$", var.warehouse.database)) : true)
    error_message = "warehouse: type Cluster needs cluster_identifier and database, without wildcards."
  }
}

variable "catalog" {
  type = object({
    database        = string
    silver_database = optional(string)
  })
  description = "Databases of the Glue catalog that Gold's tables, and on wish Silver's, are registered in, as `spec.catalog.glue` names them. Null: none, and no role for the cataloger."
  default     = null

  validation {
    condition     = var.catalog == null ? true : alltrue([for database in compact([var.catalog.database, var.catalog.silver_database]) : can(regex("^[a-z][a-z0-9_]{0,127}$", database))])
    error_message = "catalog: a database has up to 128 lower-case letters, digits and underscores, beginning with a letter; no wildcards."
  }
}

variable "provisioner_creates" {
  type        = set(string)
  description = "What the provisioner may make with `spec.management: Managed`, beside what it may look at: of topics, table, buckets. Empty: what Terraform has made it only looks at."
  default     = []

  validation {
    condition     = alltrue([for thing in var.provisioner_creates : contains(["topics", "table", "buckets"], thing)])
    error_message = "provisioner_creates: must be of topics, table and buckets."
  }

  validation {
    condition     = !contains(var.provisioner_creates, "topics") || var.kafka != null
    error_message = "provisioner_creates: topics are made by right of IAM only where kafka names an MSK cluster."
  }
}
