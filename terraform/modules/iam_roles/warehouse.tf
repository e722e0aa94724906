# What workers do at Redshift's Data API. What their users may do in the database, the database says (redshift_cluster, setup_sql).
locals {
  warehouse_arn = try(
    var.warehouse.type == "Serverless" ? var.warehouse.workgroup_arn : "arn:${local.partition}:redshift:${local.region}:${local.account}:cluster:${var.warehouse.cluster_identifier}",
    "",
  )
  # How the Data API comes by the user IAMR:ROLE.
  warehouse_login = try(var.warehouse.type == "Serverless" ? {
    Sid      = "Login"
    Effect   = "Allow"
    Action   = ["redshift-serverless:GetCredentials"]
    Resource = [var.warehouse.workgroup_arn]
    } : {
    Sid      = "Login"
    Effect   = "Allow"
    Action   = ["redshift:GetClusterCredentialsWithIAM"]
    Resource = ["arn:${local.partition}:redshift:${local.region}:${local.account}:dbname:${var.warehouse.cluster_identifier}/${var.warehouse.database}"]
  }, null)

  # Statements have no ARNs. A role's own are told by its id, whatever the session is called: so a pod finds those of one that has died.
  warehouse_all = {
    provisioner = [
      { Sid = "Execute", Effect = "Allow", Action = ["redshift-data:ExecuteStatement"], Resource = [local.warehouse_arn] },
      local.warehouse_login,
      {
        Sid       = "OwnStatements"
        Effect    = "Allow"
        Action    = ["redshift-data:DescribeStatement", "redshift-data:GetStatementResult"]
        Resource  = ["*"]
        Condition = { StringLike = { "redshift-data:statement-owner-iam-userid" = "${aws_iam_role.worker["provisioner"].unique_id}:*" } }
      },
    ]
    loader = [
      { Sid = "Execute", Effect = "Allow", Action = ["redshift-data:BatchExecuteStatement", "redshift-data:ExecuteStatement"], Resource = [local.warehouse_arn] },
      local.warehouse_login,
      {
        Sid       = "OwnStatements"
        Effect    = "Allow"
        Action    = ["redshift-data:CancelStatement", "redshift-data:DescribeStatement", "redshift-data:GetStatementResult", "redshift-data:ListStatements"]
        Resource  = ["*"]
        Condition = { StringLike = { "redshift-data:statement-owner-iam-userid" = "${try(aws_iam_role.worker["loader"].unique_id, "")}:*" } }
      },
    ]
  }

  warehouse_statements = { for worker, statements in local.warehouse_all : worker => [for statement in statements : statement if var.warehouse != null] }
}
