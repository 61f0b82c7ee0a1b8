# Run with `terraform test` in modules/agent; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_secretsmanager_secret" {
    defaults = { arn = "arn:token" }
  }

  mock_resource "aws_cloudwatch_log_group" {
    defaults = { arn = "arn:aws:logs:eu-west-2:000000000000:log-group:/totesys-test/agent" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::000000000000:role/made" }
  }
}

variables {
  name            = "totesys-test"
  region          = "eu-west-2"
  image           = "image"
  organization    = "terrific-totes"
  key_arn         = "arn:aws:kms:eu-west-2:000000000000:key/test"
  cluster         = { name = "totesys-test", arn = "arn:aws:ecs:eu-west-2:000000000000:cluster/totesys-test" }
  namespace       = { id = "ns-0", arn = "arn:aws:servicediscovery:eu-west-2:000000000000:namespace/ns-0" }
  subnet_ids      = ["subnet-0", "subnet-1"]
  security_groups = { platform = "sg-0", capture = "sg-1", process = "sg-2", load = "sg-3" }
  settings        = { TOTESYS_INGESTION_URL = "s3://ingestion", TOTESYS_UI_URL = "https://dagster.example.com" }
  repository_arn  = "arn:aws:ecr:eu-west-2:000000000000:repository/totesys"
  part_setting_secrets = {
    capture = { TOTESYS_SOURCE_DSN = "arn:source" }
    process = {}
    load    = { TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
    whole   = { TOTESYS_SOURCE_DSN = "arn:source", TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
    code    = { TOTESYS_SOURCE_DSN = "arn:source", TOTESYS_WAREHOUSE_DSN = "arn:warehouse" }
  }
  cpu_architecture = "ARM64"
  task_role_arns = {
    for part in ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"] :
    part => "arn:aws:iam::000000000000:role/totesys-test-${part}"
  }
}

run "the_token_is_in_no_state_and_in_no_variable" {
  command = plan

  assert {
    condition = jsondecode(aws_ecs_task_definition.this.container_definitions)[0].secrets == [
      { name = "DAGSTER_CLOUD_AGENT_TOKEN", valueFrom = "arn:token" }
    ]
    error_message = "The agent does not get its token from Secrets Manager, or gets another secret."
  }

  assert {
    condition = {
      for part, policy in output.policies : part => strcontains(policy, "secretsmanager:GetSecretValue")
    } == { agent = false, agent-execution = true, agent-tasks-execution = false }
    error_message = "The token is read by another role than the one that starts the agent."
  }
}

run "tasks_get_the_roles_of_the_stages_and_no_others" {
  command = plan

  assert {
    condition = toset(flatten([
      for statement in jsondecode(output.policies["agent"]).Statement : statement.Resource if statement.Action == "iam:PassRole"
      ])) == toset(concat(
      [for part in ["code", "capture", "process", "load", "whole"] : var.task_role_arns[part]],
      ["arn:aws:iam::000000000000:role/made"],
    ))
    error_message = "The agent may give tasks another role than those of the code location and the stages, or not those."
  }

  assert {
    condition = jsondecode(one([
      for variable in jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment : variable.value
      if variable.name == "AGENT_STAGES"
    ]))["capture"] == { role = var.task_role_arns["capture"], security_group = "sg-1", secrets = ["TOTESYS_SOURCE_DSN"] }
    error_message = "A capture does not get the role, the network or the secret of its stage."
  }
}

run "all_tasks_run_on_the_processors_that_are_asked_for" {
  command = plan

  assert {
    condition     = aws_ecs_task_definition.this.runtime_platform[0].cpu_architecture == "ARM64"
    error_message = "The agent runs on other processors than its image is built for."
  }

  assert {
    condition = contains(
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment,
      { name = "AGENT_ARCHITECTURE", value = "ARM64" },
    )
    error_message = "The agent starts tasks on other processors than their image is built for."
  }
}

run "the_agent_leads_people_to_dagster_plus" {
  command = plan

  assert {
    condition = contains(
      jsondecode(aws_ecs_task_definition.this.container_definitions)[0].environment,
      { name = "TOTESYS_UI_URL", value = "https://terrific-totes.dagster.cloud/prod" },
    )
    error_message = "Links in alerts lead to a UI that is stopped."
  }
}

run "a_deployment_waits_for_the_agent" {
  command = plan

  assert {
    condition     = keys(output.task_definitions) == ["agent"]
    error_message = "A deployment does not wait for the agent."
  }
}
