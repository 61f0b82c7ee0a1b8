# Who is notified, and of what. The platform tells by itself what runs, checks and systems do
# (totesys_dagster/alerting), once for each incident. What is here tells only what the platform cannot:
# that it does not live (alarms.tf), what its databases lack (databases.tf), which task was killed.

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
    Statement = [{
      Sid    = "Publishers"
      Effect = "Allow"
      Principal = {
        Service = ["cloudwatch.amazonaws.com", "events.amazonaws.com", "budgets.amazonaws.com"]
      }
      Action    = "sns:Publish"
      Resource  = aws_sns_topic.this.arn
      Condition = { StringEquals = { "aws:SourceAccount" = local.account } }
    }]
  })
}

# Each address gets a mail to confirm.
resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.this.arn
  protocol  = "email"
  endpoint  = each.key
}

# A task of a service that was killed: out of memory, as a rule. ECS starts another, so no alarm may
# follow. Of who else dies people know already: a run by the platform, which knows whether Dagster starts it
# again; a one-off by its exit code; a service that cannot start by its alarm, once and not at each attempt.
resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped-tasks"
  description = "Tasks of services that were killed"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [var.cluster_arn]
      lastStatus = ["STOPPED"]
      group      = [for service in var.services : "service:${service}"]
      stopCode   = ["EssentialContainerExited"]
      # 128 and the number of a signal; 143 is SIGTERM, by which a task is asked to end.
      containers = { exitCode = [{ numeric = [">", 128, "<", 143] }, { numeric = [">", 143] }] }
    }
  })
}

resource "aws_cloudwatch_event_target" "stopped" {
  rule = aws_cloudwatch_event_rule.stopped.name
  arn  = aws_sns_topic.this.arn
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
