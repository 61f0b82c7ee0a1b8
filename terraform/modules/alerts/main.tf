# Who is notified, and of what. The platform itself reports runs, checks and systems
# (totesys_dagster/alerting), once per incident. The alarms here report only what the platform cannot:
# that it is not running (alarms.tf), what its databases run short of (databases.tf), that its lake is not
# copied (copies.tf), which task was killed.

data "aws_caller_identity" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  namespace = var.name
}

resource "aws_sns_topic" "this" {
  name              = "${var.name}-alerts"
  kms_master_key_id = var.key_arn
}

resource "aws_sns_topic_policy" "this" {
  arn = aws_sns_topic.this.arn
  policy = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        Sid       = "Publishers"
        Effect    = "Allow"
        Principal = { Service = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"] }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
        Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
      },
      {
        # EventBridge does not say on whose behalf it publishes to an encrypted topic. A rule in another
        # account that knew this topic could send mail to its subscribers.
        Sid       = "Rules"
        Effect    = "Allow"
        Principal = { Service = "events.amazonaws.com" }
        Action    = "sns:Publish"
        Resource  = aws_sns_topic.this.arn
      },
    ]
  })
}

# Each address gets a mail to confirm.
resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

# A service's task was killed, usually for lack of memory. ECS starts another, so there may be no alarm.
# Other deaths are reported elsewhere: the platform reports a killed run, because it knows whether
# Dagster starts it again; a one-off task has its exit code; and a service that cannot start has an
# alarm, which fires once instead of at each attempt.
resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped-tasks"
  description = "Killed tasks of services"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [var.cluster_arn]
      lastStatus = ["STOPPED"]
      group      = [for service in var.services : "service:${service}"]
      stopCode   = ["EssentialContainerExited"]
      # 128 plus the signal's number; 143 is SIGTERM, which asks a task to end.
      containers = { exitCode = [{ numeric = [">", 128, "<", 143] }, { numeric = [">", 143] }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "stopped" {
  rule = aws_cloudwatch_event_rule.stopped.name
  arn  = aws_sns_topic.this.arn

  # A sentence for people instead of the event's 60 lines. Fields that an event lacks are left out.
  input_transformer {
    input_paths = {
      definition = "$.detail.taskDefinitionArn"
      group      = "$.detail.group"
      code       = "$.detail.stopCode"
      reason     = "$.detail.stoppedReason"
      container  = "$.detail.containers[0].reason"
      exit       = "$.detail.containers[0].exitCode"
      task       = "$.detail.taskArn"
      time       = "$.time"
    }
    # Not jsonencode, which escapes < and >.
    input_template = format("\"%s\"", join(" ", [
      "${var.name}: a task of <group> stopped at <time>.",
      "What: <code>, exit code <exit>. Why: <reason> <container>.",
      "Task definition: <definition>.",
      "Where to look: aws ecs describe-tasks --cluster ${var.cluster_name} --tasks <task>,",
      "and the log group of its part, /${var.name}/..., in the stream that ends with the task's number.",
    ]))
  }
}

# If the rule cannot publish, nobody would learn that a task has died.
resource "aws_cloudwatch_metric_alarm" "rule" {
  alarm_name          = "${var.name}-stopped-tasks-untold"
  alarm_description   = "EventBridge could not publish that a task has stopped: check the policies of the topic and of its key, and the tasks of the cluster."
  namespace           = "AWS/Events"
  metric_name         = "FailedInvocations"
  dimensions          = { RuleName = aws_cloudwatch_event_rule.stopped.name }
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
}

resource "aws_budgets_budget" "this" {
  name         = var.name
  budget_type  = "COST"
  limit_amount = tostring(var.monthly_budget_usd)
  limit_unit   = "USD"
  time_unit    = "MONTHLY"

  notification {
    comparison_operator       = "GREATER_THAN"
    notification_type         = "ACTUAL"
    threshold                 = 80
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [aws_sns_topic.this.arn]
  }

  notification {
    comparison_operator       = "GREATER_THAN"
    notification_type         = "FORECASTED"
    threshold                 = 100
    threshold_type            = "PERCENTAGE"
    subscriber_sns_topic_arns = [aws_sns_topic.this.arn]
  }
}
