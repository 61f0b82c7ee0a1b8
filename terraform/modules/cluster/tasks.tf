# The platform's programs as ECS tasks: one image, and for each part its own command, roles, log group
# and secrets. deploy/aws/stage_launcher.py chooses the task definition of a run.

locals {
  # Read by the platform and by Dagster; the names are those of README.md and deploy/aws/dagster.yaml.
  environment = merge({ TOTESYS_HISTORY_DAYS = "90" }, var.settings, {
    TOTESYS_INGESTION_URL      = "s3://${var.buckets.ingestion}"
    TOTESYS_PROCESSED_URL      = "s3://${var.buckets.processed}"
    TOTESYS_POLL_SECONDS       = tostring(var.poll_seconds)
    TOTESYS_LOAD_EVERY_SECONDS = tostring(var.load_every_seconds)
    TOTESYS_ALERT_TOPIC        = var.alert_topic_arn
    TOTESYS_UI_URL             = "https://${var.domain_name}"
    AWS_REGION                 = var.region # for the lake's client
    AWS_DEFAULT_REGION         = var.region # for boto3, which does not look at the other
    DAGSTER_COMPUTE_BUCKET     = var.buckets.compute
    DAGSTER_POSTGRES_HOST      = var.dagster_database.host
    DAGSTER_POSTGRES_PORT      = "5432"
    DAGSTER_POSTGRES_DB        = var.dagster_database.name
    DAGSTER_POSTGRES_USER      = "dagster"
    DAGSTER_CODE_HOST          = "code.${var.name}.internal"
    DAGSTER_CODE_PORT          = "4000"
    DAGSTER_RUN_FAMILY         = var.name
    # By stage: see deploy/aws/stage_launcher.py.
    DAGSTER_RUN_SECURITY_GROUPS = jsonencode({
      for stage in ["capture", "process", "load"] : stage => var.security_groups[stage]
    })
  })

  # The command line starts an embedded source if none is set. One-off commands read the lake and the
  # warehouse, never ToteSys, so this part does not get its password.
  admin_environment = {
    TOTESYS_SOURCE_DSN = "postgresql://source.invalid/unused"
  }

  prepare_environment = {
    WAREHOUSE_HOST             = var.warehouse_database.host
    WAREHOUSE_DATABASE         = var.warehouse_database.name
    WAREHOUSE_DSN_SECRET       = var.secret_arns["warehouse-dsn"]
    WAREHOUSE_ADMIN_DSN_SECRET = var.secret_arns["warehouse-admin-dsn"]
    DAGSTER_PASSWORD_SECRET    = var.secret_arns["dagster-password"]
  }

  # The page's schedule checks in the code location whether the page has readers; the run mails it.
  page_environment = try(length(var.alert_mail.readers) > 0, false) ? {
    TOTESYS_ALERT_FROM = var.alert_mail.sender
    TOTESYS_REPORT_TO  = join(",", var.alert_mail.readers)
  } : {}

  code_environment = var.alert_mail == null ? {} : merge(local.page_environment, {
    TOTESYS_ALERT_FROM = var.alert_mail.sender
    TOTESYS_ALERT_TO   = join(",", var.alert_mail.recipients)
  })

  part_environment = {
    code    = local.code_environment
    whole   = local.page_environment
    admin   = local.admin_environment
    prepare = local.prepare_environment
  }

  # The program reads these secrets itself, with the task's role: see totesys_dagster/aws_secrets.py.
  setting_environment = {
    for part, secrets in var.part_setting_secrets :
    part => { for setting, arn in secrets : setting => "aws-secret:${arn}" }
  }

  workspace = "/opt/totesys/home/workspace.yaml"

  parts = {
    capture = { container = "run", cpu = 1024, memory = 2048, command = null, health = null, port = null }
    process = { container = "run", cpu = 1024, memory = 4096, command = null, health = null, port = null }
    load    = { container = "run", cpu = 1024, memory = 4096, command = null, health = null, port = null }
    whole   = { container = "run", cpu = 1024, memory = 4096, command = null, health = null, port = null }
    prepare = { container = "run", cpu = 256, memory = 512, command = ["python", "/opt/totesys/deploy/prepare_databases.py"], health = null, port = null }
    admin   = { container = "run", cpu = 1024, memory = 4096, command = null, health = null, port = null }
    code = {
      container = "code"
      cpu       = 512
      memory    = 2048
      command   = ["dagster", "api", "grpc", "-h", "0.0.0.0", "-p", "4000", "-m", "totesys_dagster.definitions", "--log-format", "json"]
      health    = "dagster api grpc-health-check -p 4000"
      port      = 4000
    }
    daemon = {
      container = "daemon"
      cpu       = 512
      memory    = 1024
      command   = ["dagster-daemon", "run", "-w", local.workspace, "--log-format", "json"]
      health    = "dagster-daemon liveness-check"
      port      = null
    }
    web = {
      container = "web"
      cpu       = 512
      memory    = 1024
      # Dagster's web server behind a guard, which answers only to the host of TOTESYS_UI_URL.
      command = ["totesys", "web", "-h", "0.0.0.0", "-p", "3000", "-w", local.workspace, "--log-format", "json"]
      # The load balancer checks the web server itself, at the task's address.
      health = null
      port   = 3000
    }
  }
}

resource "aws_ecs_task_definition" "this" {
  #checkov:skip=CKV_AWS_97: no EFS volume is mounted; the only volume is the task's own /tmp
  for_each = local.parts

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = each.value.cpu
  memory                   = each.value.memory
  task_role_arn            = var.task_role_arns[each.key]
  execution_role_arn       = var.execution_role_arns[each.key]

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.cpu_architecture
  }

  # Runs take the newest revision of a family, so a new revision replaces the old one. The old one stays
  # registered, in case a service rolls back to it.
  skip_destroy = true

  lifecycle {
    create_before_destroy = true
  }

  # The only place that the programs can write to.
  volume {
    name = "tmp"
  }

  container_definitions = jsonencode([{
    name                   = each.value.container
    image                  = var.image
    essential              = true
    user                   = "10001:10001"
    readonlyRootFilesystem = true
    linuxParameters        = { initProcessEnabled = true }
    stopTimeout            = 120
    mountPoints            = [{ sourceVolume = "tmp", containerPath = "/tmp", readOnly = false }]
    command                = each.value.command
    portMappings           = each.value.port == null ? [] : [{ containerPort = each.value.port, protocol = "tcp" }]

    environment = [
      for name, value in merge(
        local.environment, lookup(local.part_environment, each.key, {}), local.setting_environment[each.key],
      ) : { name = name, value = value }
    ]
    secrets = [
      for name, value in var.part_environment_secrets[each.key] : { name = name, valueFrom = value }
    ]

    # Each check starts Python and loads Dagster: 2 to 4 s of processor time, and a service has half a
    # processor.
    healthCheck = each.value.health == null ? null : {
      command     = ["CMD-SHELL", each.value.health]
      interval    = 60
      timeout     = 30
      retries     = 3
      startPeriod = 120
    }

    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = var.log_groups[each.key]
        awslogs-region        = var.region
        awslogs-stream-prefix = each.key
      }
    }
  }])
}

resource "aws_service_discovery_private_dns_namespace" "this" {
  name        = "${var.name}.internal"
  description = "Where the web server and the daemon find the code location"
  vpc         = var.vpc_id
}

resource "aws_service_discovery_service" "code" {
  name = "code"

  dns_config {
    namespace_id   = aws_service_discovery_private_dns_namespace.this.id
    routing_policy = "MULTIVALUE"

    dns_records {
      type = "A"
      ttl  = 10
    }
  }
}

resource "aws_ecs_service" "code" {
  name            = "code"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this["code"].arn
  desired_count   = var.running ? 1 : 0
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [var.security_groups.platform]
    assign_public_ip = false
  }

  service_registries {
    registry_arn = aws_service_discovery_service.code.arn
  }
}

resource "aws_ecs_service" "daemon" {
  name            = "daemon"
  cluster         = var.cluster_arn
  task_definition = aws_ecs_task_definition.this["daemon"].arn
  desired_count   = var.running ? 1 : 0
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  # The old daemon stops first. Two at once would launch runs twice, although that does no harm, since
  # every step can be repeated.
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [var.security_groups.platform]
    assign_public_ip = false
  }
}

resource "aws_ecs_service" "web" {
  name                              = "web"
  cluster                           = var.cluster_arn
  task_definition                   = aws_ecs_task_definition.this["web"].arn
  desired_count                     = var.running ? 1 : 0
  launch_type                       = "FARGATE"
  propagate_tags                    = "SERVICE"
  health_check_grace_period_seconds = 120

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = var.private_subnet_ids
    security_groups  = [var.security_groups.web]
    assign_public_ip = false
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.web.arn
    container_name   = "web"
    container_port   = 3000
  }

  depends_on = [aws_lb_listener.https]
}
