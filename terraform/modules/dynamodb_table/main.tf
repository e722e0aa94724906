# The table of events, as the consumer writes and the exporter reads it. Its name and keys are what a Pipeline's provisioner verifies.

module "key" {
  source = "../kms_key"

  name        = var.key_name
  description = "Table ${var.name} and its stream"
  services    = ["dynamodb"]
}

locals {
  provisioned = var.capacity.mode == "Provisioned"

  scaled = local.provisioned ? { Read = var.capacity.read, Write = var.capacity.write } : {}
}

resource "aws_dynamodb_table" "this" {
  name                        = var.name
  billing_mode                = local.provisioned ? "PROVISIONED" : "PAY_PER_REQUEST"
  read_capacity               = local.provisioned ? var.capacity.read.min : null
  write_capacity              = local.provisioned ? var.capacity.write.min : null
  hash_key                    = "key"
  range_key                   = "event_id"
  deletion_protection_enabled = var.deletion_protection

  # An item never changes, so the new image is all that there is to say.
  stream_enabled   = true
  stream_view_type = "NEW_IMAGE"

  attribute {
    name = "key"
    type = "S"
  }

  attribute {
    name = "event_id"
    type = "S"
  }

  dynamic "ttl" {
    for_each = var.ttl_attribute == null ? [] : [var.ttl_attribute]

    content {
      attribute_name = ttl.value
      enabled        = true
    }
  }

  point_in_time_recovery {
    enabled                 = true
    recovery_period_in_days = var.recovery_days
  }

  server_side_encryption {
    enabled     = true
    kms_key_arn = module.key.arn
  }

  lifecycle {
    # Autoscaling's, once it is there; it begins at min.
    ignore_changes = [read_capacity, write_capacity]
  }
}

resource "aws_appautoscaling_target" "this" {
  for_each = local.scaled

  service_namespace  = "dynamodb"
  resource_id        = "table/${aws_dynamodb_table.this.name}"
  scalable_dimension = "dynamodb:table:${each.key}CapacityUnits"
  min_capacity       = each.value.min
  max_capacity       = each.value.max
}

resource "aws_appautoscaling_policy" "this" {
  for_each = local.scaled

  name               = "${var.name}-${lower(each.key)}"
  policy_type        = "TargetTrackingScaling"
  service_namespace  = aws_appautoscaling_target.this[each.key].service_namespace
  resource_id        = aws_appautoscaling_target.this[each.key].resource_id
  scalable_dimension = aws_appautoscaling_target.this[each.key].scalable_dimension

  target_tracking_scaling_policy_configuration {
    target_value       = each.value.target_percent
    scale_in_cooldown  = 300
    scale_out_cooldown = 60

    predefined_metric_specification {
      predefined_metric_type = "DynamoDB${each.key}CapacityUtilization"
    }
  }
}
