# What the databases run short of. CPU, memory and connections run out together, so one alarm covers
# them; storage and backups have their own.

locals {
  busy_percent = 90

  pressure = {
    cpu = {
      metric    = "CPUUtilization"
      statistic = "Average"
      operator  = "GreaterThanThreshold"
      periods   = 6 # half an hour: a first load or a rebuild is done by then, or is large
      threshold = { for name, database in var.databases : name => local.busy_percent }
      meaning   = "has used over 90 % of its CPU for half an hour"
    }
    memory = {
      metric    = "FreeableMemory"
      statistic = "Minimum"
      operator  = "LessThanThreshold"
      periods   = 3
      threshold = { for name, database in var.databases : name => floor(database.memory * 0.05) }
      meaning   = "has less than 5 % of its memory left"
    }
    connections = {
      metric    = "DatabaseConnections"
      statistic = "Maximum"
      operator  = "GreaterThanThreshold"
      periods   = 2
      threshold = { for name, database in var.databases : name => floor(database.max_connections * 0.8) }
      meaning   = "has more than 80 % of the connections that it accepts"
    }
  }

  pressures = {
    for pair in setproduct(keys(var.databases), keys(local.pressure)) :
    "${pair[0]}-${pair[1]}" => { database = pair[0], kind = pair[1] }
  }
}

resource "aws_cloudwatch_metric_alarm" "pressure" {
  for_each = local.pressures

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "The database ${var.databases[each.value.database].identifier} ${local.pressure[each.value.kind].meaning}."
  namespace           = "AWS/RDS"
  metric_name         = local.pressure[each.value.kind].metric
  dimensions          = { DBInstanceIdentifier = var.databases[each.value.database].identifier }
  statistic           = local.pressure[each.value.kind].statistic
  comparison_operator = local.pressure[each.value.kind].operator
  threshold           = local.pressure[each.value.kind].threshold[each.value.database]
  period              = 300
  evaluation_periods  = local.pressure[each.value.kind].periods
  # A server that is down sends no metrics; whatever cannot reach it reports it.
  treat_missing_data = "notBreaching"
}

resource "aws_cloudwatch_composite_alarm" "pressure" {
  for_each = var.databases

  alarm_name        = "${var.name}-${each.key}-pressure"
  alarm_description = "The database ${each.value.identifier} is running short of CPU, memory or connections: the alarms ${var.name}-${each.key}-cpu, -memory and -connections show which. Performance Insights shows the statements."
  alarm_rule = join(" OR ", [
    for key, pressure in local.pressures : "ALARM(\"${aws_cloudwatch_metric_alarm.pressure[key].alarm_name}\")"
    if pressure.database == each.key
  ])
  alarm_actions = [aws_sns_topic.this.arn]
  ok_actions    = [aws_sns_topic.this.arn]
}

resource "aws_cloudwatch_metric_alarm" "storage" {
  for_each = var.databases

  alarm_name          = "${var.name}-${each.key}-storage"
  alarm_description   = "The database ${each.value.identifier} has less than 5 GB of disk space left."
  namespace           = "AWS/RDS"
  metric_name         = "FreeStorageSpace"
  dimensions          = { DBInstanceIdentifier = each.value.identifier }
  statistic           = "Minimum"
  comparison_operator = "LessThanThreshold"
  threshold           = 5 * 1024 * 1024 * 1024
  period              = 300
  evaluation_periods  = 1
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}

# RDS has no metric for its backups, but sends an event for each one that finishes. If none has finished
# for thirty hours, last night's backup failed or never started.
resource "aws_cloudwatch_log_group" "backups" {
  name              = "/aws/events/${var.name}-backups"
  retention_in_days = 365
  kms_key_id        = var.key_arn
}

resource "aws_cloudwatch_log_resource_policy" "backups" {
  policy_name = "${var.name}-backups"
  policy_document = jsonencode({
    Version = "2012-10-17"
    Statement = [
      {
        # Both services deliver events. They create log streams without naming a rule.
        Sid       = "Streams"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:CreateLogStream"
        Resource  = "${aws_cloudwatch_log_group.backups.arn}:*"
      },
      {
        Sid       = "Events"
        Effect    = "Allow"
        Principal = { Service = ["events.amazonaws.com", "delivery.logs.amazonaws.com"] }
        Action    = "logs:PutLogEvents"
        Resource  = "${aws_cloudwatch_log_group.backups.arn}:*"
        Condition = { ArnEquals = { "aws:SourceArn" = aws_cloudwatch_event_rule.backups.arn } }
      },
    ]
  })
}

resource "aws_cloudwatch_event_rule" "backups" {
  name        = "${var.name}-backups"
  description = "Finished backups of the databases"
  event_pattern = jsonencode({
    source      = ["aws.rds"]
    detail-type = ["RDS DB Instance Event"]
    detail = {
      EventID          = ["RDS-EVENT-0002"]
      SourceIdentifier = [for database in var.databases : database.identifier]
    }
  })
}

resource "aws_cloudwatch_event_target" "backups" {
  rule = aws_cloudwatch_event_rule.backups.name
  arn  = aws_cloudwatch_log_group.backups.arn
}

resource "aws_cloudwatch_log_metric_filter" "backups" {
  for_each = var.databases

  name           = "${var.name}-${each.key}-backups"
  log_group_name = aws_cloudwatch_log_group.backups.name
  pattern        = "{ ($.detail.EventID = \"RDS-EVENT-0002\") && ($.detail.SourceIdentifier = \"${each.value.identifier}\") }"

  metric_transformation {
    name      = "backups-${each.key}"
    namespace = local.namespace
    value     = "1"
  }
}

resource "aws_cloudwatch_metric_alarm" "backups" {
  for_each = var.databases

  alarm_name          = "${var.name}-${each.key}-backups"
  alarm_description   = "No backup of the database ${each.value.identifier} has finished for thirty hours: `aws rds describe-db-snapshots --snapshot-type automated` lists the backups, `aws rds describe-events` what happened."
  namespace           = local.namespace
  metric_name         = aws_cloudwatch_log_metric_filter.backups[each.key].metric_transformation[0].name
  statistic           = "Sum"
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  period              = 3600
  evaluation_periods  = 30
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.this.arn]
  ok_actions          = [aws_sns_topic.this.arn]
}
