# Run with `terraform test` in modules/alerts; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_sns_topic" {
    defaults = { arn = "arn:aws:sns:eu-west-2:000000000000:alerts" }
  }
}

variables {
  name               = "totesys-test"
  key_arn            = "arn:aws:kms:eu-west-2:000000000000:key/test"
  emails             = ["team@example.com"]
  silence_minutes    = 30
  monthly_budget_usd = 100
  cluster_name       = "totesys-test"
  cluster_arn        = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test"
  services           = ["code", "daemon", "web"]
  databases          = { warehouse = "totesys-test-warehouse" }
  load_balancer      = "app/totesys-test/0"
  target_group       = "targetgroup/totesys-test-web/0"
  log_groups = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web"] : part => "/totesys-test/${part}"
  }
}

run "silence_is_an_alarm_after_thirty_minutes" {
  command = plan

  assert {
    condition = (
      aws_cloudwatch_metric_alarm.silence.evaluation_periods * aws_cloudwatch_metric_alarm.silence.period == 30 * 60
      && aws_cloudwatch_metric_alarm.silence.treat_missing_data == "breaching"
    )
    error_message = "Silence is not noticed, or too late."
  }

  assert {
    condition = alltrue([
      for filter in aws_cloudwatch_log_metric_filter.loaded :
      filter.metric_transformation[0].name == aws_cloudwatch_metric_alarm.silence.metric_name
      && filter.metric_transformation[0].namespace == aws_cloudwatch_metric_alarm.silence.namespace
    ])
    error_message = "The alarm about silence watches another metric than the one that is counted."
  }
}

run "every_alarm_tells_somebody" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in concat(
        [aws_cloudwatch_metric_alarm.silence, aws_cloudwatch_metric_alarm.web],
        values(aws_cloudwatch_metric_alarm.failures), values(aws_cloudwatch_metric_alarm.services),
        values(aws_cloudwatch_metric_alarm.storage),
      ) : contains(alarm.alarm_actions, aws_sns_topic.this.arn)
    ])
    error_message = "An alarm is sent to nobody."
  }
}
