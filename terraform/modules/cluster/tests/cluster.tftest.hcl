# Run with `terraform test` in modules/cluster; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_acm_certificate" {
    defaults = {
      arn = "arn:aws:acm:eu-west-2:000000000000:certificate/test"
      domain_validation_options = [{
        domain_name           = "dagster.example.com"
        resource_record_name  = "_validation.dagster.example.com"
        resource_record_type  = "CNAME"
        resource_record_value = "validation.example.com"
      }]
    }
  }

  mock_resource "aws_cognito_user_pool" {
    defaults = { arn = "arn:aws:cognito-idp:eu-west-2:000000000000:userpool/test" }
  }

  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-2:000000000000:loadbalancer/app/test/0" }
  }

  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-west-2:000000000000:targetgroup/test/0" }
  }

  mock_resource "aws_service_discovery_service" {
    defaults = { arn = "arn:aws:servicediscovery:eu-west-2:000000000000:service/test" }
  }
}

variables {
  name        = "totesys-test"
  region      = "eu-west-2"
  image       = "image"
  running     = true
  cluster_arn = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test"
  log_groups = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => "/totesys-test/${part}"
  }
  task_role_arns = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => "arn:aws:iam::000000000000:role/totesys-test-${part}"
  }
  execution_role_arns = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => "arn:aws:iam::000000000000:role/totesys-test-${part}-execution"
  }
  part_setting_secrets = {
    capture = { TOTESYS_SOURCE_DSN = "arn:source" }
    process = {}
    load    = { TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
    whole   = { TOTESYS_SOURCE_DSN = "arn:source", TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
    code    = { TOTESYS_SOURCE_DSN = "arn:source", TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
    daemon  = {}
    web     = {}
    prepare = {}
    admin   = { TOTESYS_WAREHOUSE_DSN = "arn:warehouse", TOTESYS_WAREHOUSE_ADMIN_DSN = "arn:warehouse-admin" }
  }
  part_environment_secrets = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => { DAGSTER_POSTGRES_PASSWORD = "arn:dagster" }
  }
  secret_arns = {
    source-dsn          = "arn:source"
    warehouse-dsn       = "arn:warehouse"
    warehouse-admin-dsn = "arn:warehouse-admin"
    dagster-password    = "arn:dagster"
  }
  buckets               = { ingestion = "ingestion", processed = "processed", compute = "compute", logs = "logs" }
  warehouse_database    = { host = "warehouse.example.com", name = "warehouse" }
  dagster_database      = { host = "dagster.example.com", name = "dagster" }
  vpc_id                = "vpc-0"
  public_subnet_ids     = ["subnet-0", "subnet-1"]
  private_subnet_ids    = ["subnet-2", "subnet-3"]
  security_groups       = { balancer = "sg-0", web = "sg-1", platform = "sg-2", capture = "sg-3", process = "sg-4", load = "sg-5" }
  domain_name           = "dagster.example.com"
  hosted_zone_id        = "Z0"
  cognito_domain_prefix = "totesys-test"
  deletion_protection   = false
  poll_seconds          = 30
  load_every_seconds    = 60
  alert_topic_arn       = "arn:aws:sns:eu-west-2:000000000000:alerts"
}

run "settings_in_secrets_are_read_by_the_program" {
  command = plan

  assert {
    condition = alltrue([
      for part, task in aws_ecs_task_definition.this : {
        for variable in jsondecode(task.container_definitions)[0].environment : variable.name => variable.value
        if startswith(variable.value, "aws-secret:")
      } == { for setting, arn in var.part_setting_secrets[part] : setting => "aws-secret:${arn}" }
    ])
    error_message = "A service does not learn where its settings are, or learns those of another."
  }

  assert {
    condition = alltrue([
      for part, task in aws_ecs_task_definition.this : [
        for secret in jsondecode(task.container_definitions)[0].secrets : secret.name
      ] == ["DAGSTER_POSTGRES_PASSWORD"]
    ])
    error_message = "ECS puts a setting's secret into the environment, where a rotated password does not reach it."
  }

  # The command line starts an embedded source where none is set.
  assert {
    condition = anytrue([
      for variable in jsondecode(aws_ecs_task_definition.this["admin"].container_definitions)[0].environment :
      variable.name == "TOTESYS_SOURCE_DSN" && strcontains(variable.value, "source.invalid")
    ])
    error_message = "One-off commands have no source that is out of reach."
  }
}

run "no_alert_is_mailed_unless_asked_for" {
  command = plan

  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.this : !strcontains(task.container_definitions, "TOTESYS_ALERT_FROM")
    ])
    error_message = "A part has settings for mail though none was asked for."
  }
}

run "alerts_are_mailed_by_the_code_location_alone" {
  command = plan

  variables {
    alert_mail = { sender = "totesys@example.com", recipients = ["ann@example.com", "bob@example.com"] }
  }

  assert {
    condition = [
      for part, task in aws_ecs_task_definition.this : part if strcontains(task.container_definitions, "TOTESYS_ALERT_FROM")
    ] == ["code"]
    error_message = "Another part than the code location mails alerts, or it does not."
  }

  assert {
    condition = anytrue([
      for variable in jsondecode(aws_ecs_task_definition.this["code"].container_definitions)[0].environment :
      variable == { name = "TOTESYS_ALERT_TO", value = "ann@example.com,bob@example.com" }
    ])
    error_message = "Alerts are not mailed to whom they are for."
  }
}

run "the_page_is_mailed_to_its_readers_by_the_run_that_makes_it" {
  command = plan

  variables {
    alert_mail = { sender = "totesys@example.com", recipients = ["ann@example.com"], readers = ["eve@example.com"] }
  }

  assert {
    condition = [
      for part, task in aws_ecs_task_definition.this : part if strcontains(task.container_definitions, "eve@example.com")
    ] == ["code", "whole"]
    error_message = "The readers of the page are not known to the code location and the run, or to another part."
  }
}

run "nothing_is_served_without_a_login" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.default_action[0].type == "authenticate-cognito" && aws_lb_listener.https.default_action[0].authenticate_cognito[0].on_unauthenticated_request == "authenticate"
    error_message = "The load balancer forwards requests without a login, for example for the report page."
  }
}

run "tasks_run_on_x86_unless_something_else_is_asked_for" {
  command = plan

  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.this : task.runtime_platform[0].cpu_architecture == "X86_64"
    ])
    error_message = "A task runs on other processors than the image is built for."
  }
}

run "tasks_run_on_graviton_where_the_image_is_built_for_it" {
  command = plan

  variables {
    cpu_architecture = "ARM64"
  }

  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.this : task.runtime_platform[0].cpu_architecture == "ARM64"
    ])
    error_message = "A task runs on other processors than the image is built for."
  }
}

run "processors_that_fargate_does_not_have_are_refused" {
  command = plan

  variables {
    cpu_architecture = "RISCV"
  }

  expect_failures = [var.cpu_architecture]
}

run "further_settings_reach_every_part_and_replace_defaults" {
  command = plan

  variables {
    settings = { TOTESYS_REPORTING_CURRENCY = "EUR", TOTESYS_HISTORY_DAYS = "30" }
  }

  assert {
    condition = alltrue([
      for task in aws_ecs_task_definition.this : alltrue([
        for name, value in { TOTESYS_REPORTING_CURRENCY = "EUR", TOTESYS_HISTORY_DAYS = "30" } :
        contains(jsondecode(task.container_definitions)[0].environment, { name = name, value = value })
      ])
    ])
    error_message = "A part does not get a setting, or gets the default of one that is set."
  }
}

run "settings_that_are_secret_or_set_elsewhere_are_refused" {
  command = plan

  variables {
    settings = { TOTESYS_SMTP_URL = "smtps://mail.example.com" }
  }

  expect_failures = [var.settings]
}

run "misspelt_settings_are_refused" {
  command = plan

  variables {
    settings = { REPORTING_CURRENCY = "EUR" }
  }

  expect_failures = [var.settings]
}

run "a_deployment_waits_for_the_services_that_run" {
  command = plan

  assert {
    condition     = keys(output.task_definitions) == ["code", "daemon", "web"] && length(output.stopped_services) == 0
    error_message = "A deployment does not wait for all services."
  }
}

run "a_deployment_waits_for_no_service_that_is_stopped" {
  command = plan

  variables {
    running = false
  }

  assert {
    condition     = length(output.task_definitions) == 0 && toset(output.stopped_services) == toset(["code", "daemon", "web"])
    error_message = "A deployment waits for services that were stopped on purpose, or does not ask whether they are stopped."
  }
}
