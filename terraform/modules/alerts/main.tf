# Who is notified, and of what: a stage that fails, a service that is down, a database that fills up, and
# silence. The silence alarm counts the line "Batch … is loaded as number …" that warehouse/assets.py
# logs once a batch is committed, so it needs no agent and no metric of the platform's own; where
# nothing is logged at all, missing data raises the alarm.

data "aws_caller_identity" "current" {}

locals {
  account   = data.aws_caller_identity.current.account_id
  namespace = var.name

  # What Dagster prints when a run has failed; Python's logging prints the level of the others.
  failure_patterns = {
    capture = "RUN_FAILURE"
    process = "RUN_FAILURE"
    load    = "RUN_FAILURE"
    whole   = "RUN_FAILURE"
    code    = "ERROR"
    daemon  = "ERROR"
    web     = "ERROR"
  }
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
        # EventBridge does not say for whom it publishes to an encrypted topic. A rule of another
        # account that knew this topic could mail to its subscribers.
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

resource "aws_cloudwatch_log_metric_filter" "loaded" {
  for_each = toset(["load", "whole"])

  name           = "${var.name}-${each.key}-batches"
  log_group_name = var.log_groups[each.key]
  pattern        = "\"is loaded as number\""

  metric_transformation {
    name      = "BatchesLoaded"
    namespace = local.namespace
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "silence" {
  alarm_name          = "${var.name}-silence"
  alarm_description   = "No batch was loaded for ${var.silence_minutes} minutes. Nobody may be working in ToteSys, or nothing arrives: `totesys status` tells."
  namespace           = local.namespace
  metric_name         = "BatchesLoaded"
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = var.silence_minutes / 5
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_log_metric_filter" "failures" {
  for_each = local.failure_patterns

  name           = "${var.name}-${each.key}-failures"
  log_group_name = var.log_groups[each.key]
  pattern        = "\"${each.value}\""

  metric_transformation {
    name      = "Failures-${each.key}"
    namespace = local.namespace
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "failures" {
  for_each = local.failure_patterns

  alarm_name          = "${var.name}-${each.key}-failures"
  alarm_description   = "${each.key} has failed. It is tried again by itself; the log group ${var.log_groups[each.key]} says why."
  namespace           = local.namespace
  metric_name         = "Failures-${each.key}"
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "services" {
  for_each = toset(var.services)

  alarm_name          = "${var.name}-${each.key}-down"
  alarm_description   = "The service ${each.key} runs no task."
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = var.cluster_name, ServiceName = each.key }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "web" {
  alarm_name          = "${var.name}-web-unhealthy"
  alarm_description   = "The load balancer finds no web server that answers."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = var.load_balancer, TargetGroup = var.target_group }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "storage" {
  for_each = var.databases

  alarm_name          = "${var.name}-${each.key}-storage"
  alarm_description   = "The database ${each.value} has less than 5 GB left."
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = each.value }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 5 * 1024 * 1024 * 1024
  period              = 300
  evaluation_periods  = 1
  alarm_actions       = [aws_sns_topic.this.arn]
}

# A task that died before it could log anything: out of memory, no image, a secret without a value.
resource "aws_cloudwatch_event_rule" "stopped" {
  name        = "${var.name}-stopped-tasks"
  description = "Tasks that could not start or were killed"
  event_pattern = jsonencode({
    source      = ["aws.ecs"]
    detail-type = ["ECS Task State Change"]
    detail = {
      clusterArn = [var.cluster_arn]
      lastStatus = ["STOPPED"]
      "$or" = [
        { stopCode = ["TaskFailedToStart"] },
        {
          stopCode   = ["EssentialContainerExited"]
          containers = { exitCode = [{ anything-but = 0 }] }
        },
      ]
    }
  })
}

resource "aws_cloudwatch_event_target" "stopped" {
  rule = aws_cloudwatch_event_rule.stopped.name
  arn  = aws_sns_topic.this.arn

  # A sentence for people in place of the event's 60 lines. What an event lacks is left out.
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
    # Not jsonencode, which writes < and > in another way.
    input_template = format("\"%s\"", join(" ", [
      "${var.name}: a task of <group> stopped at <time>.",
      "What: <code>, exit code <exit>. Why: <reason> <container>.",
      "Task definition: <definition>.",
      "Where to look: aws ecs describe-tasks --cluster ${var.cluster_name} --tasks <task>,",
      "and the log group of its part, /${var.name}/..., in the stream that ends with the task's number.",
    ]))
  }
}

# A rule that cannot publish would tell nobody that a task has died.
resource "aws_cloudwatch_metric_alarm" "rule" {
  alarm_name          = "${var.name}-stopped-tasks-untold"
  alarm_description   = "EventBridge could not publish that a task has stopped: look at the policies of the topic and of its key, and at the tasks of the cluster."
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
