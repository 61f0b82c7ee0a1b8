# An environment: all of the platform except the image, which is built once for all environments.

locals {
  parts = ["capture", "process", "load", "whole", "code", "daemon", "web", "prepare", "admin"]

  secrets = module.secrets.arns

  # Settings that the program of a part reads from their secrets itself, when it connects: a new
  # password needs no new task. A run that captures cannot reach the warehouse, and one that loads
  # cannot reach ToteSys.
  source    = { TOTESYS_SOURCE_DSN = local.secrets["source-dsn"] }
  warehouse = { TOTESYS_WAREHOUSE_DSN = local.secrets["warehouse-dsn"] }
  mail      = var.alert_mail == null ? {} : { TOTESYS_SMTP_URL = local.secrets["smtp-url"] }
  # The run that creates the report page mails it, if the page has readers.
  page_mail = try(length(var.alert_mail.readers) > 0, false) ? local.mail : {}

  part_setting_secrets = {
    capture = local.source
    process = {}
    load    = local.warehouse
    whole   = merge(local.source, local.warehouse, local.page_mail)
    code    = merge(local.source, local.warehouse, local.mail)
    daemon  = {}
    web     = {}
    prepare = {}
    admin = merge(local.warehouse, {
      TOTESYS_WAREHOUSE_ADMIN_DSN = local.secrets["warehouse-admin-dsn"]
    })
  }

  # What ECS puts into a part's environment when it starts a task. Dagster reads its password there, so a
  # new password needs new tasks.
  dagster = { DAGSTER_POSTGRES_PASSWORD = local.secrets["dagster-password"] }

  part_environment_secrets = {
    capture = local.dagster
    process = local.dagster
    load    = local.dagster
    whole   = local.dagster
    code    = local.dagster
    daemon  = local.dagster
    web     = local.dagster
    admin   = local.dagster
    # Runs only when a person starts it. Only this part has the administrators' passwords. It creates the
    # other secrets, so it cannot wait for them.
    prepare = {
      WAREHOUSE_ADMINISTRATOR = module.warehouse.administrator_secret_arn
      DAGSTER_ADMINISTRATOR   = module.orchestration.administrator_secret_arn
    }
  }
}

module "key" {
  source = "../key"

  name   = var.name
  region = var.region
}

module "lake" {
  source = "../lake"

  name           = var.name
  key_arn        = module.key.arn
  retention_mode = var.retention_mode
  retention_days = var.retention_days
  replica        = var.replica

  permissions_boundary_arn = var.permissions_boundary_arn
}

# For files that other systems deliver.
module "drops" {
  source = "../drops"
  count  = length(var.drops_from) > 0 ? 1 : 0

  name       = var.name
  log_bucket = module.lake.buckets.logs
  principals = var.drops_from
}

module "network" {
  source = "../network"

  name                     = var.name
  region                   = var.region
  key_arn                  = module.key.arn
  cidr                     = var.cidr
  availability_zones       = var.availability_zones
  single_nat_gateway       = var.single_nat_gateway
  allowed_cidrs            = var.allowed_cidrs
  source_cidrs             = var.source_cidrs
  reader_cidrs             = var.reader_cidrs
  mail_port                = try(var.alert_mail.port, null)
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "warehouse" {
  source = "../postgres"

  name                     = "${var.name}-warehouse"
  database                 = "warehouse"
  key_arn                  = module.key.arn
  subnet_ids               = module.network.subnets.database
  security_group_id        = module.network.security_groups.warehouse
  instance_class           = var.warehouse_instance_class
  storage_gb               = var.warehouse_storage_gb
  multi_az                 = var.multi_az
  deletion_protection      = var.deletion_protection
  permissions_boundary_arn = var.permissions_boundary_arn
}

# A separate server: Dagster's writes must not slow down readers of the warehouse, and its history can be
# lost without losing a batch.
module "orchestration" {
  source = "../postgres"

  name                     = "${var.name}-dagster"
  database                 = "dagster"
  key_arn                  = module.key.arn
  subnet_ids               = module.network.subnets.database
  security_group_id        = module.network.security_groups.orchestration
  instance_class           = var.dagster_instance_class
  storage_gb               = 20
  multi_az                 = var.multi_az
  deletion_protection      = var.deletion_protection
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "secrets" {
  source = "../secrets"

  name    = var.name
  key_arn = module.key.arn
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  # Gives the number of running tasks, which the alarms watch.
  setting {
    name  = "containerInsights"
    value = "enabled"
  }
}

resource "aws_cloudwatch_log_group" "part" {
  for_each = toset(local.parts)

  name              = "/${var.name}/${each.key}"
  retention_in_days = 365
  kms_key_id        = module.key.arn
}

module "roles" {
  source = "../roles"

  name                     = var.name
  region                   = var.region
  key_arn                  = module.key.arn
  bucket_arns              = module.lake.arns
  drops_bucket_arn         = one(module.drops[*].arn)
  secret_arns              = local.secrets
  part_setting_secrets     = { for part, secrets in local.part_setting_secrets : part => values(secrets) }
  part_environment_secrets = { for part, secrets in local.part_environment_secrets : part => values(secrets) }
  log_group_arns           = { for part, group in aws_cloudwatch_log_group.part : part => group.arn }
  cluster_arn              = aws_ecs_cluster.this.arn
  alert_topic_arn          = module.alerts.topic_arn
  repository_arn           = var.repository_arn
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "cluster" {
  source = "../cluster"

  name                     = var.name
  region                   = var.region
  image                    = var.image
  cpu_architecture         = var.cpu_architecture
  running                  = var.running
  cluster_arn              = aws_ecs_cluster.this.arn
  log_groups               = { for part, group in aws_cloudwatch_log_group.part : part => group.name }
  task_role_arns           = module.roles.task_role_arns
  execution_role_arns      = module.roles.execution_role_arns
  part_setting_secrets     = local.part_setting_secrets
  part_environment_secrets = local.part_environment_secrets
  secret_arns              = local.secrets
  buckets                  = module.lake.buckets
  warehouse_database       = { host = module.warehouse.host, name = module.warehouse.database }
  dagster_database         = { host = module.orchestration.host, name = module.orchestration.database }
  vpc_id                   = module.network.vpc_id
  public_subnet_ids        = module.network.subnets.public
  private_subnet_ids       = module.network.subnets.private
  security_groups          = module.network.security_groups
  domain_name              = var.domain_name
  hosted_zone_id           = var.hosted_zone_id
  cognito_domain_prefix    = var.cognito_domain_prefix
  deletion_protection      = var.deletion_protection
  poll_seconds             = var.poll_seconds
  load_every_seconds       = var.load_every_seconds
  settings                 = merge(var.settings, { for drops in module.drops : "TOTESYS_DROPS_URL" => "s3://${drops.bucket}" })
  alert_topic_arn          = module.alerts.topic_arn
  alert_mail               = var.alert_mail
}

# With Dagster+, in place of the services of modules/cluster.
module "agent" {
  source = "../agent"
  count  = var.agent == null ? 0 : 1

  name                     = var.name
  region                   = var.region
  image                    = try(var.agent.image, null)
  cpu_architecture         = var.cpu_architecture
  organization             = try(var.agent.organization, null)
  key_arn                  = module.key.arn
  cluster                  = { name = aws_ecs_cluster.this.name, arn = aws_ecs_cluster.this.arn }
  namespace                = module.cluster.namespace
  subnet_ids               = module.network.subnets.private
  security_groups          = module.network.security_groups
  settings                 = module.cluster.code_settings
  part_setting_secrets     = local.part_setting_secrets
  task_role_arns           = module.roles.task_role_arns
  repository_arn           = var.repository_arn
  permissions_boundary_arn = var.permissions_boundary_arn
}

module "alerts" {
  source = "../alerts"

  name               = var.name
  key_arn            = module.key.arn
  emails             = var.alert_emails
  running            = var.running
  monthly_budget_usd = var.monthly_budget_usd
  log_groups         = { for part, group in aws_cloudwatch_log_group.part : part => group.name }
  cluster_name       = aws_ecs_cluster.this.name
  cluster_arn        = aws_ecs_cluster.this.arn
  services           = module.cluster.services
  copies             = module.lake.copies
  load_balancer      = module.cluster.load_balancer
  target_group       = module.cluster.target_group
  databases = {
    for name, database in { warehouse = module.warehouse, dagster = module.orchestration } :
    name => {
      identifier      = database.identifier
      memory          = database.memory
      max_connections = database.max_connections
    }
  }
}

module "catalog" {
  source = "../catalog"

  name    = var.name
  key_arn = module.key.arn
  buckets = module.lake.buckets
}
