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
    # The platform's own alerts live, and none of their messages waits to be sent.
    alerts = {
      group   = "code"
      pattern = "{ ($.event = \"tick\") && ($.sensor = \"alerts\") && ($.undelivered = 0) }"
    }
    # What nobody foresaw. What a sensor says of a system out of reach has the sensor's name, and is
    # reported by the platform.
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
