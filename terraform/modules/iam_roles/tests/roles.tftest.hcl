# The roles as an environment has them: who is trusted, and what each may do.
variables {
  name         = "shop-dev"
  pipeline     = "purchase-orders"
  namespace    = "shop"
  cluster_name = "shop-dev"

  kafka = {
    cluster_arn       = "arn:aws:kafka:eu-west-1:123456789012:cluster/shop-dev/0b7c-1"
    topic             = "purchase_orders"
    dead_letter_topic = "dlq.purchase_orders"
  }

  table = {
    arn         = "arn:aws:dynamodb:eu-west-1:123456789012:table/purchase_orders"
    kms_key_arn = "arn:aws:kms:eu-west-1:123456789012:key/table"
  }

  lake = {
    bronze_bucket_arn = "arn:aws:s3:::shop-dev-bronze"
    silver_bucket_arn = "arn:aws:s3:::shop-dev-silver"
    gold_bucket_arn   = "arn:aws:s3:::shop-dev-gold"
    kms_key_arns      = ["arn:aws:kms:eu-west-1:123456789012:key/lake"]
  }

  warehouse = {
    type          = "Serverless"
    workgroup_arn = "arn:aws:redshift-serverless:eu-west-1:123456789012:workgroup/0b7c"
  }

  catalog = {
    database = "shop_gold"
  }
}

run "one_role_a_worker" {
  command = apply

  assert {
    condition     = join(" ", sort(keys(output.identities))) == "cataloger consumer dbt-runner exporter gateway loader provisioner"
    error_message = "the workers are seven: ${join(" ", keys(output.identities))}"
  }

  assert {
    condition     = length(distinct([for identity in values(output.identities) : identity.role_arn])) == 7
    error_message = "each has a role of its own"
  }

  assert {
    condition     = output.identities["exporter"].service_account == "purchase-orders-exporter" && output.identities["exporter"].mode == "PodIdentity"
    error_message = "the account is the one that the operator makes"
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.worker) == 7 && alltrue([for association in values(aws_eks_pod_identity_association.worker) : association.namespace == "shop"])
    error_message = "EKS hands each role out, in the pipeline's namespace alone"
  }

  assert {
    condition     = output.database_users["loader"] == "IAMR:shop-dev-loader"
    error_message = "the loader's user is called as its role"
  }
}

run "trust_is_pinned" {
  command = apply

  assert {
    condition = alltrue([
      for worker, policy in output.trust_policies : alltrue([
        for statement in jsondecode(policy).Statement :
        statement.Principal == { Service = "pods.eks.amazonaws.com" } &&
        statement.Condition.StringEquals["aws:RequestTag/kubernetes-namespace"] == "shop" &&
        statement.Condition.StringEquals["aws:RequestTag/kubernetes-service-account"] == "purchase-orders-${worker}" &&
        endswith(statement.Condition.StringEquals["aws:RequestTag/eks-cluster-arn"], ":cluster/shop-dev")
      ])
    ])
    error_message = "a pod of another cluster, namespace or account is not trusted"
  }
}

run "irsa_is_pinned_too" {
  command = apply

  variables {
    mode              = "Irsa"
    oidc_provider_arn = "arn:aws:iam::123456789012:oidc-provider/oidc.eks.eu-west-1.amazonaws.com/id/0B7C"
    service_accounts  = { loader = "medallion-loader" }
  }

  assert {
    condition     = length(aws_eks_pod_identity_association.worker) == 0
    error_message = "with IRSA EKS hands nothing out"
  }

  assert {
    condition     = jsondecode(output.trust_policies["loader"]).Statement[0].Condition.StringEquals["oidc.eks.eu-west-1.amazonaws.com/id/0B7C:sub"] == "system:serviceaccount:shop:medallion-loader"
    error_message = "the token's subject is the account: ${output.trust_policies["loader"]}"
  }

  assert {
    condition     = jsondecode(output.trust_policies["loader"]).Statement[0].Condition.StringEquals["oidc.eks.eu-west-1.amazonaws.com/id/0B7C:aud"] == "sts.amazonaws.com"
    error_message = "the token is one for STS"
  }
}

run "least_rights" {
  command = apply

  assert {
    condition     = alltrue([for policy in values(output.policies) : alltrue([for statement in jsondecode(policy).Statement : statement.Effect == "Allow" && alltrue([for action in statement.Action : !strcontains(action, "*")])])])
    error_message = "no action has a star"
  }

  assert {
    condition = alltrue(flatten([
      for worker, policy in output.policies : [
        for statement in jsondecode(policy).Statement : [
          for action in statement.Action : anytrue([
            for known in jsondecode(file("star-resources.json")) : contains(known.workers, worker) && contains(known.actions, action)
          ])
        ] if contains(statement.Resource, "*")
      ]
    ]))
    error_message = "the resource * is listed in star-resources.json with its reason"
  }

  assert {
    condition     = alltrue([for policy in values(output.policies) : !strcontains(policy, "Delete")])
    error_message = "nobody deletes anything"
  }

  assert {
    condition = toset(flatten([for statement in jsondecode(output.policies["gateway"]).Statement : statement.Action])) == toset([
      "kafka-cluster:Connect", "kafka-cluster:DescribeTopic", "kafka-cluster:WriteData", "kafka-cluster:WriteDataIdempotently",
    ])
    error_message = "the gateway produces, and nothing else: ${output.policies["gateway"]}"
  }

  assert {
    condition     = toset([for statement in jsondecode(output.policies["consumer"]).Statement : statement.Action if statement.Sid == "Put"][0]) == toset(["dynamodb:PutItem"])
    error_message = "the consumer puts items and reads none"
  }

  assert {
    condition     = !strcontains(output.policies["exporter"], "shop-dev-silver") && !strcontains(output.policies["exporter"], "shop-dev-gold") && !strcontains(output.policies["exporter"], "PutItem")
    error_message = "the exporter knows the table's stream and Bronze"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policies["dbt-runner"]).Statement : !contains(statement.Action, "s3:PutObject") || alltrue([for resource in statement.Resource : !strcontains(resource, "bronze")])])
    error_message = "dbt's runner writes no Bronze"
  }

  assert {
    condition     = [for statement in jsondecode(output.policies["loader"]).Statement : statement.Resource if contains(statement.Action, "s3:PutObject")] == [["arn:aws:s3:::shop-dev-gold/_runs/*"]]
    error_message = "the loader writes manifests, and no table: ${output.policies["loader"]}"
  }

  assert {
    condition     = alltrue([for policy in values(output.policies) : alltrue([for statement in jsondecode(policy).Statement : can(statement.Condition.StringEquals["kms:ViaService"]) if anytrue([for action in statement.Action : startswith(action, "kms:")])])])
    error_message = "keys are used through services alone"
  }
}

run "statements_of_a_role_are_its_own" {
  command = apply

  assert {
    condition     = [for statement in jsondecode(output.policies["loader"]).Statement : statement.Condition.StringLike["redshift-data:statement-owner-iam-userid"] if statement.Sid == "OwnStatements"] == ["${aws_iam_role.worker["loader"].unique_id}:*"]
    error_message = "whatever its session is called"
  }
}

run "implied_actions_are_used" {
  command = apply

  variables {
    provisioner_creates = ["topics"]
  }

  assert {
    condition = alltrue(flatten([
      for implied in jsondecode(file("implied-actions.json")) : [
        for worker in implied.workers : strcontains(output.policies[worker], "\"${implied.action}\"")
      ] if implied.action != "redshift:GetClusterCredentialsWithIAM"
    ]))
    error_message = "what the list says is in the policies"
  }
}

run "what_is_not_there_needs_no_role" {
  command = apply

  variables {
    kafka     = null
    warehouse = null
    catalog   = null
  }

  assert {
    condition     = join(" ", sort(keys(output.identities))) == "consumer dbt-runner exporter provisioner"
    error_message = "no gateway without IAM at the brokers, no loader without a warehouse, no cataloger without a catalog"
  }

  assert {
    condition     = alltrue([for policy in values(output.policies) : !strcontains(policy, "kafka-cluster") && !strcontains(policy, "redshift") && !strcontains(policy, "glue")])
    error_message = "and no right at any of them"
  }
}

run "a_cluster_instead_of_serverless" {
  command = apply

  variables {
    warehouse = { type = "Cluster", cluster_identifier = "shop", database = "analytics" }
  }

  assert {
    condition     = strcontains(output.policies["loader"], ":dbname:shop/analytics") && strcontains(output.policies["loader"], ":cluster:shop\"") && !strcontains(output.policies["loader"], "redshift-serverless")
    error_message = "the loader logs in to the one database: ${output.policies["loader"]}"
  }
}

run "the_provisioner_makes_only_what_it_may" {
  command = apply

  assert {
    condition     = !strcontains(output.policies["provisioner"], "Create") && !strcontains(output.policies["provisioner"], "Update")
    error_message = "by default it looks"
  }
}

run "the_provisioner_makes_what_it_may" {
  command = apply

  variables {
    provisioner_creates = ["topics", "table", "buckets"]
  }

  assert {
    condition     = alltrue([for action in ["kafka-cluster:CreateTopic", "dynamodb:CreateTable", "dynamodb:TagResource", "dynamodb:UpdateTimeToLive", "s3:CreateBucket"] : strcontains(output.policies["provisioner"], "\"${action}\"")])
    error_message = "it makes what the Pipeline says: ${output.policies["provisioner"]}"
  }
}

run "the_cataloger_in_its_database_alone" {
  command = apply

  assert {
    condition     = [for statement in jsondecode(output.policies["cataloger"]).Statement : statement.Resource if statement.Sid == "Tables"][0] == ["arn:aws:glue:eu-west-1:123456789012:catalog", "arn:aws:glue:eu-west-1:123456789012:database/shop_gold", "arn:aws:glue:eu-west-1:123456789012:table/shop_gold/*"]
    error_message = "tables of one database: ${output.policies["cataloger"]}"
  }

  assert {
    condition     = !strcontains(output.policies["cataloger"], "Delete") && !strcontains(output.policies["cataloger"], "silver")
    error_message = "nothing is deleted, and Silver is not read unless it is registered: ${output.policies["cataloger"]}"
  }
}
