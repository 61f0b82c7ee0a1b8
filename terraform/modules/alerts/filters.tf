# What is counted in the logs, which are JSON: fields, never words of a sentence. A line for each tick is
# written by totesys_dagster/orchestration/life.py; the rest are the fields of `--log-format json` of
# Dagster's commands and of totesys_dagster/json_logs.py.
# totesys_dagster_tests/deployment replays recorded logs through these patterns.

locals {
  filters = {
    # The code location, the daemon and its sensors live: each tick that has come to its end.
    ticks = {
      group   = "code"
      pattern = "{ ($.event = \"tick\") && ($.sensor = \"source_changes\") }"
    }
    # The platform's own alerts are running, and none of their messages is waiting to be sent.
    alerts = {
      group   = "code"
      pattern = "{ ($.event = \"tick\") && ($.sensor = \"alerts\") && ($.undelivered = 0) }"
    }
    # Unforeseen errors. When a sensor cannot reach a system, its log line has the sensor's name, and the
    # platform reports it.
    errors-code = {
      group   = "code"
      pattern = "{ (($.level = \"error\") || ($.level = \"critical\")) && ($.sensor NOT EXISTS) }"
    }
    errors-daemon = {
      group   = "daemon"
      pattern = "{ (($.level = \"error\") || ($.level = \"critical\")) && ($.logger = \"dagster.daemon*\") }"
    }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.filters

  name           = "${var.name}-${each.key}"
  log_group_name = var.log_groups[each.value.group]
  pattern        = each.value.pattern

  metric_transformation {
    name      = each.key
    namespace = local.namespace
    value     = "1"
  }
}
