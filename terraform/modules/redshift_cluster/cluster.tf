# The warehouse on nodes of one's own.
resource "aws_redshift_subnet_group" "this" {
  count = local.serverless ? 0 : 1

  name        = var.name
  description = "Private subnets of the warehouse ${var.name}"
  subnet_ids  = var.subnet_ids
}

resource "aws_redshift_parameter_group" "this" {
  count = local.serverless ? 0 : 1

  name        = var.name
  description = "TLS alone, and statements in the audit log"
  family      = "redshift-2.0"

  parameter {
    name  = "require_ssl"
    value = "true"
  }

  parameter {
    name  = "enable_user_activity_logging"
    value = "true"
  }
}

resource "aws_redshift_cluster" "this" {
  count = local.serverless ? 0 : 1

  cluster_identifier                  = var.name
  database_name                       = var.database
  node_type                           = var.cluster.node_type
  cluster_type                        = "multi-node"
  number_of_nodes                     = var.cluster.nodes
  master_username                     = local.admin
  manage_master_password              = true
  master_password_secret_kms_key_id   = module.key.arn
  encrypted                           = true
  kms_key_id                          = module.key.arn
  publicly_accessible                 = false
  enhanced_vpc_routing                = true
  port                                = local.port
  cluster_subnet_group_name           = aws_redshift_subnet_group.this[0].name
  cluster_parameter_group_name        = aws_redshift_parameter_group.this[0].name
  vpc_security_group_ids              = [aws_security_group.this.id]
  iam_roles                           = [aws_iam_role.copy.arn]
  allow_version_upgrade               = true
  automated_snapshot_retention_period = var.snapshot_retention_days
  skip_final_snapshot                 = var.skip_final_snapshot
  final_snapshot_identifier           = var.skip_final_snapshot ? null : "${var.name}-last"
}

resource "aws_redshift_logging" "this" {
  count = local.serverless ? 0 : 1

  cluster_identifier   = aws_redshift_cluster.this[0].cluster_identifier
  log_destination_type = "cloudwatch"
  log_exports          = local.logs

  depends_on = [aws_cloudwatch_log_group.audit]
}

resource "aws_redshift_usage_limit" "this" {
  count = local.serverless ? 0 : 1

  cluster_identifier = aws_redshift_cluster.this[0].cluster_identifier
  feature_type       = "concurrency-scaling"
  limit_type         = "time"
  amount             = var.usage_limit.amount
  period             = var.usage_limit.period
  breach_action      = var.usage_limit.action
}
