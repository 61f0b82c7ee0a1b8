# Run with `terraform test` in modules/platform; AWS is not asked. Which part gets which secret is
# said in this module; that roles and tasks keep to it is tested in modules/roles and modules/cluster.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-2:000000000000:log-group:/totesys-test/part" }
  }

  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test" }
  }
}

override_module {
  target          = module.key
  override_during = plan
  outputs         = { arn = "arn:aws:kms:eu-west-2:000000000000:key/test" }
}

override_module {
  target          = module.secrets
  override_during = plan
  outputs = {
    arns = {
      source-dsn          = "arn:source"
      warehouse-dsn       = "arn:warehouse"
      warehouse-admin-dsn = "arn:warehouse-admin"
      smtp-url            = "arn:mail"
      dagster-password    = "arn:dagster"
    }
  }
}

override_module {
  target          = module.warehouse
  override_during = plan
  outputs = {
    host                     = "warehouse.example.com"
    database                 = "warehouse"
    identifier               = "totesys-test-warehouse"
    arn                      = "arn:aws:rds:eu-west-2:000000000000:db:totesys-test-warehouse"
    memory                   = 4294967296
    max_connections          = 450
    administrator_secret_arn = "arn:administrator-of-warehouse"
  }
}

override_module {
  target          = module.orchestration
  override_during = plan
  outputs = {
    host                     = "dagster.example.com"
    database                 = "dagster"
    identifier               = "totesys-test-dagster"
    arn                      = "arn:aws:rds:eu-west-2:000000000000:db:totesys-test-dagster"
    memory                   = 4294967296
    max_connections          = 450
    administrator_secret_arn = "arn:administrator-of-dagster"
  }
}

override_module {
  target          = module.lake
  override_during = plan
  outputs = {
    buckets = { ingestion = "ingestion", processed = "processed", compute = "compute", logs = "logs", athena = "athena" }
    copies  = null
    arns    = { ingestion = "arn:aws:s3:::ingestion", processed = "arn:aws:s3:::processed", compute = "arn:aws:s3:::compute" }
  }
}

override_module {
  target          = module.network
  override_during = plan
  outputs = {
    vpc_id          = "vpc-0"
    subnets         = { public = ["subnet-0"], private = ["subnet-1"], database = ["subnet-2"] }
    security_groups = { balancer = "sg-0", web = "sg-1", platform = "sg-2", capture = "sg-5", process = "sg-6", load = "sg-7", warehouse = "sg-3", orchestration = "sg-4" }
    nat_addresses   = []
  }
}

override_module {
  target          = module.cluster
  override_during = plan
  outputs = {
    url              = "https://dagster.example.com"
    user_pool_id     = "pool"
    services         = []
    task_definitions = {}
    stopped_services = ["code", "daemon", "web"]
    namespace        = { id = "ns-0", arn = "arn:aws:servicediscovery:eu-west-2:000000000000:namespace/ns-0" }
    code_settings    = { TOTESYS_INGESTION_URL = "s3://ingestion" }
    load_balancer    = "app/test/0"
    target_group     = "targetgroup/test/0"
  }
}

override_module {
  target          = module.alerts
  override_during = plan
  outputs         = { topic_arn = "arn:aws:sns:eu-west-2:000000000000:alerts" }
}

override_module {
  target          = module.catalog
  override_during = plan
  outputs         = { databases = {} }
}

variables {
  name                     = "totesys-test"
  region                   = "eu-west-2"
  image                    = "image"
  repository_arn           = "arn:aws:ecr:eu-west-2:000000000000:repository/totesys"
  permissions_boundary_arn = "arn:aws:iam::000000000000:policy/totesys-boundary"
  running                  = true
  retention_mode           = "GOVERNANCE"
  retention_days           = 1
  cidr                     = "10.0.0.0/16"
  availability_zones       = ["eu-west-2a", "eu-west-2b"]
  single_nat_gateway       = true
  allowed_cidrs            = []
  source_cidrs             = []
  warehouse_instance_class = "db.t4g.medium"
  warehouse_storage_gb     = 20
  dagster_instance_class   = "db.t4g.micro"
  multi_az                 = false
  deletion_protection      = false
  domain_name              = "dagster.example.com"
  hosted_zone_id           = "Z0"
  cognito_domain_prefix    = "totesys-test"
  alert_emails             = []
  monthly_budget_usd       = 100
}

run "each_program_reads_its_own_secrets_only" {
  command = plan

  assert {
    condition = {
      for part, policy in output.policies : part => join(" ", flatten([
        for statement in jsondecode(policy).Statement : statement.Resource
        if statement.Action == "secretsmanager:GetSecretValue"
      ])) if !endswith(part, "-execution")
      } == {
      capture = "arn:source"
      process = ""
      load    = "arn:warehouse"
      whole   = "arn:source arn:warehouse"
      code    = "arn:source arn:warehouse"
      daemon  = ""
      web     = ""
      prepare = ""
      admin   = "arn:warehouse-admin arn:warehouse"
    }
    error_message = "A part reads another secret than that of what it connects to."
  }
}

run "each_task_is_started_with_its_own_secrets_only" {
  command = plan

  assert {
    condition = {
      for part, policy in output.policies : trimsuffix(part, "-execution") => join(" ", flatten([
        for statement in jsondecode(policy).Statement : statement.Resource
        if statement.Action == "secretsmanager:GetSecretValue"
      ])) if endswith(part, "-execution")
      } == {
      capture = "arn:dagster"
      process = "arn:dagster"
      load    = "arn:dagster"
      whole   = "arn:dagster"
      code    = "arn:dagster"
      daemon  = "arn:dagster"
      web     = "arn:dagster"
      prepare = "arn:administrator-of-dagster arn:administrator-of-warehouse"
      admin   = "arn:dagster"
    }
    error_message = "ECS puts another secret into an environment than Dagster's password, or the administrators' for prepare."
  }
}

run "the_mail_server_is_for_the_code_location_alone" {
  command = plan

  variables {
    alert_mail = { sender = "totesys@example.com", recipients = ["ann@example.com"], port = 587 }
  }

  assert {
    condition     = [for part, policy in output.policies : part if strcontains(policy, "arn:mail")] == ["code"]
    error_message = "Another part than the code location may read the password of the mail server, or it may not."
  }
}

run "the_page_is_mailed_by_the_run_that_makes_it" {
  command = plan

  variables {
    alert_mail = { sender = "totesys@example.com", recipients = ["ann@example.com"], port = 587, readers = ["eve@example.com"] }
  }

  assert {
    condition     = [for part, policy in output.policies : part if strcontains(policy, "arn:mail")] == ["code", "whole"]
    error_message = "The run that mails the page may not read the password of the mail server, or another part may."
  }
}

run "mail_without_a_recipient_is_refused" {
  command = plan

  variables {
    alert_mail = { sender = "totesys@example.com", recipients = [], port = 587 }
  }

  expect_failures = [var.alert_mail]
}

run "there_is_no_agent_and_no_place_for_files_unless_asked_for" {
  command = plan

  assert {
    condition     = length(module.agent) == 0 && output.drops_bucket == null
    error_message = "There is an agent of Dagster+ or a bucket for files that nobody has asked for."
  }
}

run "an_agent_beside_the_services_is_refused" {
  command = plan

  variables {
    agent = { organization = "terrific-totes", image = "image" }
  }

  expect_failures = [var.agent]
}

run "a_deployment_waits_for_the_agent_in_place_of_the_services" {
  command = plan

  variables {
    running = false
    agent   = { organization = "terrific-totes", image = "image" }
  }

  override_module {
    target          = module.agent
    override_during = plan
    outputs         = { task_definitions = { agent = "arn:agent" }, policies = {} }
  }

  assert {
    condition     = output.task_definitions == { agent = "arn:agent" } && output.stopped_services == ["code", "daemon", "web"]
    error_message = "With Dagster+, a deployment waits for services that were stopped on purpose, or not for the agent."
  }
}

run "two_places_for_files_are_refused" {
  command = plan

  variables {
    drops_from = ["arn:aws:iam::000000000000:role/planning"]
    settings   = { TOTESYS_DROPS_URL = "s3://elsewhere" }
  }

  expect_failures = [var.drops_from]
}

run "delivered_files_are_read_by_the_sensor_and_by_runs_of_everything" {
  command = plan

  variables {
    drops_from = ["arn:aws:iam::000000000000:role/planning"]
  }

  override_module {
    target          = module.drops
    override_during = plan
    outputs         = { bucket = "drops", arn = "arn:aws:s3:::drops" }
  }

  assert {
    condition     = [for part, policy in output.policies : part if strcontains(policy, "arn:aws:s3:::drops")] == ["code", "whole"]
    error_message = "Another part than the code location and runs of everything reads delivered files, or they do not."
  }
}
