# Run with `terraform test` in modules/alerts; AWS is not asked. What the alarms do with logs is tested by
# totesys_dagster_tests/deployment.

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
  running            = true
  monthly_budget_usd = 100
  cluster_name       = "totesys-test"
  cluster_arn        = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test"
  services           = ["code", "daemon", "web"]
  load_balancer      = "app/totesys-test/0"
  target_group       = "targetgroup/totesys-test-web/0"
  databases = {
    warehouse = { identifier = "totesys-test-warehouse", memory = 4294967296, max_connections = 450 }
    dagster   = { identifier = "totesys-test-dagster", memory = 1073741824, max_connections = 112 }
  }
  log_groups = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web"] : part => "/totesys-test/${part}"
  }
}

run "life_is_watched_for_ten_minutes" {
  command = plan

  assert {
    condition = alltrue([
      for name, alarm in aws_cloudwatch_metric_alarm.lives :
      alarm.evaluation_periods * alarm.period == 600 && alarm.treat_missing_data == "breaching"
      && alarm.metric_name == aws_cloudwatch_log_metric_filter.this[name].metric_transformation[0].name
      && alarm.namespace == aws_cloudwatch_log_metric_filter.this[name].metric_transformation[0].namespace
    ])
    error_message = "An end is not noticed, too late, or by another metric than the one that is counted."
  }
}

run "every_alarm_tells_somebody_once" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in concat(
        values(aws_cloudwatch_composite_alarm.this), values(aws_cloudwatch_composite_alarm.pressure),
        values(aws_cloudwatch_metric_alarm.storage), values(aws_cloudwatch_metric_alarm.backups),
      ) : tolist(alarm.alarm_actions) == tolist([aws_sns_topic.this.arn])
    ])
    error_message = "An alarm is sent to nobody."
  }

  # One that tells nobody is part of exactly one that does.
  assert {
    condition = alltrue([
      for alarm in concat(
        [aws_cloudwatch_metric_alarm.web], values(aws_cloudwatch_metric_alarm.lives),
        values(aws_cloudwatch_metric_alarm.errors), values(aws_cloudwatch_metric_alarm.services),
        values(aws_cloudwatch_metric_alarm.pressure),
        ) : alarm.alarm_actions == null && length([
          for composed in concat(
            values(aws_cloudwatch_composite_alarm.this), values(aws_cloudwatch_composite_alarm.pressure)
          ) : composed if strcontains(composed.alarm_rule, "ALARM(\"${alarm.alarm_name}\")")
      ]) == 1
    ])
    error_message = "An alarm is sent twice, or not at all."
  }
}

run "databases_are_watched_by_their_size" {
  command = plan

  assert {
    condition = {
      for key, alarm in aws_cloudwatch_metric_alarm.pressure : key => alarm.threshold
      } == {
      warehouse-cpu         = 90
      warehouse-memory      = 214748364
      warehouse-connections = 360
      dagster-cpu           = 90
      dagster-memory        = 53687091
      dagster-connections   = 89
    }
    error_message = "A database's alarm is not set by its memory and connections."
  }
}

run "backups_are_watched_for_longer_than_a_day" {
  command = plan

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.backups :
      alarm.period * alarm.evaluation_periods > 86400 && alarm.treat_missing_data == "breaching"
    ])
    error_message = "A night without a backup is not noticed, or an evening is taken for one."
  }
}

run "copies_are_watched_where_there_are_some" {
  command = plan

  variables {
    copies = { from = "ingestion", to = "replica", rule = "copy" }
  }

  assert {
    condition = alltrue([
      for alarm in aws_cloudwatch_metric_alarm.copying :
      alarm.dimensions == tomap({ SourceBucket = "ingestion", DestinationBucket = "replica", RuleId = "copy" })
      && alarm.alarm_actions == null
      && strcontains(aws_cloudwatch_composite_alarm.copies["copies"].alarm_rule, "ALARM(\"${alarm.alarm_name}\")")
    ]) && length(aws_cloudwatch_metric_alarm.copying) == 2
    error_message = "A way in which copies fail is not watched, or tells somebody by itself."
  }

  assert {
    condition     = tolist(aws_cloudwatch_composite_alarm.copies["copies"].alarm_actions) == tolist([aws_sns_topic.this.arn])
    error_message = "Nobody is notified of failed copies."
  }
}

run "nothing_watches_copies_that_are_not_made" {
  command = plan

  assert {
    condition     = length(aws_cloudwatch_metric_alarm.copying) == 0 && length(aws_cloudwatch_composite_alarm.copies) == 0
    error_message = "There is an alarm for copies that nobody has asked for."
  }
}

run "what_was_stopped_on_purpose_is_no_alarm" {
  command = plan

  variables {
    running = false
  }

  assert {
    condition     = alltrue([for alarm in aws_cloudwatch_composite_alarm.this : !alarm.actions_enabled])
    error_message = "Somebody is notified that services do not run that are stopped."
  }
}
