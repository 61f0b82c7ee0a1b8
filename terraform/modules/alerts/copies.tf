# Whether the ingestion zone reaches its copy in another region, where there is one. S3 measures each rule
# that has metrics; as with the databases, one composite alarm covers both ways to fail.

locals {
  copies = var.copies == null ? {} : { copies = var.copies }

  copying = {
    failed = {
      metric    = "OperationsFailedReplication"
      statistic = "Sum"
      threshold = 1
      # Such an object is missing until people copy it, so one failure is an alarm for a day, however many
      # follow.
      periods = 288
      bad     = 1
      meaning = "S3 could not copy an object of the ingestion zone to the other region. It does not try again by itself."
    }
    late = {
      metric    = "ReplicationLatency"
      statistic = "Maximum"
      threshold = 900
      periods   = 3
      bad       = 3
      meaning   = "For a quarter of an hour, the copy of the ingestion zone in the other region has been 15 minutes behind, or more."
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "copying" {
  for_each = var.copies == null ? {} : local.copying

  alarm_name          = "${var.name}-copies-${each.key}"
  alarm_description   = each.value.meaning
  namespace           = "AWS/S3"
  metric_name         = each.value.metric
  dimensions          = { SourceBucket = var.copies.from, DestinationBucket = var.copies.to, RuleId = var.copies.rule }
  statistic           = each.value.statistic
  comparison_operator = "GreaterThanOrEqualToThreshold"
  threshold           = each.value.threshold
  period              = 300
  evaluation_periods  = each.value.periods
  datapoints_to_alarm = each.value.bad
  # Nothing is measured while nothing is written.
  treat_missing_data = "notBreaching"
}

resource "aws_cloudwatch_composite_alarm" "copies" {
  for_each = local.copies

  alarm_name        = "${var.name}-copies"
  alarm_description = "The ingestion zone is not copied to the other region as it should be: if this region were lost, so would be what is missing there. The alarms ${var.name}-copies-failed and -late show what is wrong; check the role ${var.name}-replication and both keys, and copy failed objects with S3 Batch Replication."
  alarm_rule        = join(" OR ", [for alarm in aws_cloudwatch_metric_alarm.copying : "ALARM(\"${alarm.alarm_name}\")"])
  alarm_actions     = [aws_sns_topic.this.arn]
  ok_actions        = [aws_sns_topic.this.arn]
}
