# Whether the platform is running. Several alarms detect the same outage, each in its own way and time,
# so none of them notifies anybody. A composite alarm does, once, as soon as the first one fires.

locals {
  # For ten minutes, since a deployment stops the sensors for two or three.
  lives = {
    ticks  = "No sensor has polled ToteSys for ten minutes: the daemon or the code location is not working."
    alerts = "For ten minutes, the platform's alerts have not ticked, or could not send a message."
  }

  # A restart of the code location logs errors for some seconds, which fall into two periods at most.
  errors = {
    errors-code   = "The code location has logged errors for a quarter of an hour."
    errors-daemon = "The daemon has logged errors for a quarter of an hour."
  }

  unwell = {
    platform = concat(
      [for alarm in aws_cloudwatch_metric_alarm.lives : alarm.alarm_name],
      [for alarm in aws_cloudwatch_metric_alarm.errors : alarm.alarm_name],
      [for service, alarm in aws_cloudwatch_metric_alarm.services : alarm.alarm_name if service != "web"],
    )
    web = concat(
      [aws_cloudwatch_metric_alarm.web.alarm_name],
      [for service, alarm in aws_cloudwatch_metric_alarm.services : alarm.alarm_name if service == "web"],
    )
  }

  meaning = {
    platform = "The platform is not working properly: changes may not be captured or loaded, and nobody may be notified of failures. The alarms ${var.name}-ticks, -alerts, -errors-… and …-down show what is wrong; so do the log groups ${var.log_groups["daemon"]} and ${var.log_groups["code"]}."
    web      = "People cannot reach the UI. The warehouse is still kept current. The log group ${var.log_groups["web"]} may say why."
  }
}

resource "aws_cloudwatch_composite_alarm" "this" {
  for_each = local.unwell

  alarm_name        = "${var.name}-${each.key}"
  alarm_description = local.meaning[each.key]
  alarm_rule        = join(" OR ", [for alarm in each.value : "ALARM(\"${alarm}\")"])
  actions_enabled   = var.running
  alarm_actions     = [aws_sns_topic.this.arn]
  ok_actions        = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "lives" {
  for_each = local.lives

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value
  namespace           = local.namespace
  metric_name         = aws_cloudwatch_log_metric_filter.this[each.key].metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 10
  treat_missing_data  = "breaching"
}

resource "aws_cloudwatch_metric_alarm" "errors" {
  for_each = local.errors

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value
  namespace           = local.namespace
  metric_name         = aws_cloudwatch_log_metric_filter.this[each.key].metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = 1
  period              = 300
  evaluation_periods  = 3
  treat_missing_data  = "notBreaching"
}

resource "aws_cloudwatch_metric_alarm" "services" {
  for_each = toset(var.services)

  alarm_name          = "${var.name}-${each.key}-down"
  alarm_description   = "The service ${each.key} has no running task."
  namespace           = "ECS/ContainerInsights"
  metric_name         = "RunningTaskCount"
  dimensions          = { ClusterName = var.cluster_name, ServiceName = each.key }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
}

resource "aws_cloudwatch_metric_alarm" "web" {
  alarm_name          = "${var.name}-web-unhealthy"
  alarm_description   = "No web server answers the load balancer."
  namespace           = "AWS/ApplicationELB"
  metric_name         = "HealthyHostCount"
  dimensions          = { LoadBalancer = var.load_balancer, TargetGroup = var.target_group }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 60
  evaluation_periods  = 5
  treat_missing_data  = "breaching"
}
