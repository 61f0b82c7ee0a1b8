# The agent of Dagster+ Hybrid: it asks Dagster+ what to do, and runs the code location and its runs as
# tasks of the environment's cluster. The services of modules/cluster are then stopped. The agent runs
# deploy/plus/stage_agent.py, so that each run gets the role and the network of its stage, as without
# Dagster+.

locals {
  # What runs of a stage get: see deploy/plus/stage_agent.py.
  stages = {
    for stage in ["capture", "process", "load", "whole"] : stage => {
      role           = var.task_role_arns[stage]
      security_group = lookup(var.security_groups, stage, var.security_groups.platform)
      secrets        = keys(var.part_setting_secrets[stage])
    }
  }

  environment = merge(var.settings, {
    # Links in alerts and on the report page lead to Dagster+.
    TOTESYS_UI_URL       = "https://${var.organization}.dagster.cloud/prod"
    DAGSTER_HOME         = "/opt/totesys/plus"
    AGENT_NAME           = var.name
    AGENT_CLUSTER        = var.cluster.name
    AGENT_SUBNETS        = join(",", var.subnet_ids)
    AGENT_SECURITY_GROUP = var.security_groups.platform
    AGENT_NAMESPACE      = var.namespace.id
    AGENT_LOG_GROUP      = aws_cloudwatch_log_group.this.name
    AGENT_EXECUTION_ROLE = aws_iam_role.execution["agent-tasks"].arn
    AGENT_TASK_ROLE      = var.task_role_arns["code"]
    AGENT_ARCHITECTURE   = var.cpu_architecture
    AGENT_STAGES         = jsonencode(local.stages)
    # Where the agent says that it is alive; it cannot write to the default, /opt.
    DAGSTER_CLOUD_AGENT_SENTINEL_DIR = "/tmp"
  })
}

# Without its value, which Terraform would keep in its state: see docs/hosting.md.
resource "aws_secretsmanager_secret" "token" {
  #checkov:skip=CKV2_AWS_57: Dagster+ issues the token, and only people can renew it there
  name                    = "${var.name}/agent-token"
  description             = "DAGSTER_CLOUD_AGENT_TOKEN: the agent's login to Dagster+"
  kms_key_id              = var.key_arn
  recovery_window_in_days = 7
}

# Of the agent, and of what it runs.
resource "aws_cloudwatch_log_group" "this" {
  name              = "/${var.name}/agent"
  retention_in_days = 365
  kms_key_id        = var.key_arn
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_97: no EFS volume is mounted; the only volume is the task's own /tmp
  family                   = "${var.name}-agent"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 512
  memory                   = 1024
  task_role_arn            = aws_iam_role.task.arn
  execution_role_arn       = aws_iam_role.execution["agent"].arn
  skip_destroy             = true

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name                   = "agent"
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true }
    stopTimeout            = 120
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    command                = ["dagster-cloud", "agent", "run"]
    environment            = [for name, value in local.environment : { name = name, value = value }]
    secrets                = [{ name = "DAGSTER_CLOUD_AGENT_TOKEN", valueFrom = aws_secretsmanager_secret.token.arn }]

    # The agent touches this file every 15 seconds.
    healthCheck = {
      command     = ["CMD-SHELL", "find /tmp/liveness_sentinel.txt -mmin -5 | grep -q ."]
      interval    = 60
      timeout     = 10
      retries     = 5
      startPeriod = 300
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this.name
        awslogs-region        = var.region
        awslogs-stream-prefix = "agent"
      }
    }
  }])
}

# Without a circuit breaker: until people have stored the token, no task can start, and ECS must keep
# trying.
resource "aws_ecs_service" "this" {
  name            = "agent"
  cluster         = var.cluster.arn
  task_definition = aws_ecs_task_definition.this.arn
  desired_count   = 1
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  # One at a time: each would replace what the other has started.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  network_configuration {
    subnets          = var.subnet_ids
    security_groups  = [var.security_groups.platform]
    assign_public_ip = false
  }
}
