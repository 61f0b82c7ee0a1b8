output "topic_arn" {
  description = "Where alarms are published"
  value       = aws_sns_topic.this.arn
}

output "silence_alarm" {
  description = "The alarm about silence"
  value       = aws_cloudwatch_metric_alarm.silence.alarm_name
}
