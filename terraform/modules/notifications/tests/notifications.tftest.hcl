# An alarm reaches a person: the topic and its key let CloudWatch publish, and nobody else.
variables {
  name   = "shop-dev"
  emails = ["data-team@example.com", "on-call@example.com"]
}

run "alarms_are_heard" {
  command = apply

  assert {
    condition     = aws_sns_topic.alerts.kms_master_key_id == module.key.arn
    error_message = "Amazon's own key for SNS lets no alarm publish"
  }

  assert {
    condition = anytrue([
      for statement in jsondecode(output.policy).Statement :
      statement.Effect == "Allow" && try(statement.Principal.Service, "") == "cloudwatch.amazonaws.com" && contains(statement.Action, "sns:Publish") &&
      statement.Condition.StringEquals["aws:SourceAccount"] == "123456789012"
    ])
    error_message = "CloudWatch publishes for this account's alarms: ${output.policy}"
  }

  assert {
    condition     = anytrue([for statement in jsondecode(output.policy).Statement : statement.Effect == "Deny" && try(statement.Condition.Bool["aws:SecureTransport"], "") == "false"])
    error_message = "plain HTTP is refused"
  }

  assert {
    condition     = alltrue([for statement in jsondecode(output.policy).Statement : statement.Principal != { AWS = "*" } if statement.Effect == "Allow"])
    error_message = "the topic is nobody else's"
  }

  assert {
    condition     = length(aws_sns_topic_subscription.email) == 2 && alltrue([for subscription in values(aws_sns_topic_subscription.email) : subscription.protocol == "email"])
    error_message = "each address is subscribed"
  }
}

run "roles_publish_where_they_are_named" {
  command = apply

  variables {
    publisher_role_arns = ["arn:aws:iam::123456789012:role/shop-dev-notifier"]
  }

  assert {
    condition     = [for statement in jsondecode(output.policy).Statement : statement.Principal.AWS if statement.Sid == "RolesPublish"] == [["arn:aws:iam::123456789012:role/shop-dev-notifier"]]
    error_message = "the notifier publishes: ${output.policy}"
  }
}
