# The warehouse without servers.
resource "aws_redshiftserverless_namespace" "this" {
  count = local.serverless ? 1 : 0

  namespace_name                   = var.name
  db_name                          = var.database
  admin_username                   = local.admin
  manage_admin_password            = true
  admin_password_secret_kms_key_id = module.key.arn
  kms_key_id                       = module.key.arn
  iam_roles                        = [aws_iam_role.copy.arn]
  log_exports                      = local.logs

  depends_on = [aws_cloudwatch_log_group.audit]
}

resource "aws_redshiftserverless_workgroup" "this" {
  count = local.serverless ? 1 : 0

  workgroup_name       = var.name
  namespace_name       = aws_redshiftserverless_namespace.this[0].namespace_name
  base_capacity        = var.serverless.base_rpu
  max_capacity         = var.serverless.max_rpu
  publicly_accessible  = false
  enhanced_vpc_routing = true
  port                 = local.port
  subnet_ids           = var.subnet_ids
  security_group_ids   = [aws_security_group.this.id]

  config_parameter {
    parameter_key   = "require_ssl"
    parameter_value = "true"
  }

  # Without it the statements' log says nothing.
  config_parameter {
    parameter_key   = "enable_user_activity_logging"
    parameter_value = "true"
  }

  lifecycle {
    # Redshift answers with all parameters that it has, those that AWS adds later among them, and each plan would want to take these away.
    ignore_changes = [config_parameter]
  }
}

resource "aws_redshiftserverless_usage_limit" "this" {
  count = local.serverless ? 1 : 0

  resource_arn  = aws_redshiftserverless_workgroup.this[0].arn
  usage_type    = "serverless-compute"
  amount        = var.usage_limit.amount
  period        = var.usage_limit.period
  breach_action = var.usage_limit.action
}
