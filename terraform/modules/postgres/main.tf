# A PostgreSQL 18 server on RDS: the warehouse, or Dagster's database. It accepts only TLS and has no
# public address. AWS creates, stores and rotates its administrator's password, so Terraform never sees
# it. deploy/aws/prepare_databases.py creates the roles that the platform logs in with.

locals {
  # The third word of a class is its size. A class for memory (r) has twice that of another.
  sizes = {
    micro      = 1, small = 2, medium = 4, large = 8, xlarge = 16, "2xlarge" = 32, "4xlarge" = 64, "8xlarge" = 128,
    "12xlarge" = 192, "16xlarge" = 256, "24xlarge" = 384
  }
  class  = split(".", var.instance_class)
  memory = local.sizes[local.class[2]] * (can(regex("^r", local.class[1])) ? 2 : 1) * 1024 * 1024 * 1024
}

resource "aws_db_subnet_group" "this" {
  name       = var.name
  subnet_ids = var.subnet_ids
}

resource "aws_db_parameter_group" "this" {
  name_prefix = "${var.name}-"
  family      = "postgres18"
  description = "TLS only, and what is slow or changes tables is logged"

  parameter {
    name  = "rds.force_ssl"
    value = "1"
  }

  parameter {
    name  = "log_statement"
    value = "ddl"
  }

  parameter {
    name  = "log_min_duration_statement"
    value = "5000"
  }

  parameter {
    name  = "log_connections"
    value = "all"
  }

  # A client that disappears in the middle of a transaction would block vacuum forever.
  parameter {
    name  = "idle_in_transaction_session_timeout"
    value = "600000"
  }

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_iam_role" "monitoring" {
  name                 = "${var.name}-monitoring"
  permissions_boundary = var.permissions_boundary_arn
  assume_role_policy = jsonencode({
    Version = "2012-10-17"
    Statement = [{
      Effect    = "Allow"
      Principal = { Service = "monitoring.rds.amazonaws.com" }
      Action    = "sts:AssumeRole"
    }]
  })
}

data "aws_partition" "current" {}

resource "aws_iam_role_policy_attachment" "monitoring" {
  role       = aws_iam_role.monitoring.name
  policy_arn = "arn:${data.aws_partition.current.partition}:iam::aws:policy/service-role/AmazonRDSEnhancedMonitoringRole"
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["postgresql", "upgrade"])

  name              = "/aws/rds/instance/${var.name}/${each.key}"
  retention_in_days = 365
  kms_key_id        = var.key_arn
}

resource "aws_db_instance" "this" {
  #checkov:skip=CKV_AWS_157: multi_az is a variable, on in production and off in staging
  #checkov:skip=CKV_AWS_293: deletion_protection is a variable, on in production and off in staging
  #checkov:skip=CKV_AWS_161: the platform logs in with passwords from Secrets Manager, which a DSN can carry
  identifier     = var.name
  engine         = "postgres"
  engine_version = "18"
  instance_class = var.instance_class
  db_name        = var.database

  username                      = "administrator"
  manage_master_user_password   = true
  master_user_secret_kms_key_id = var.key_arn

  allocated_storage     = var.storage_gb
  max_allocated_storage = var.storage_gb * 5
  storage_type          = "gp3"
  storage_encrypted     = true
  kms_key_id            = var.key_arn

  multi_az               = var.multi_az
  db_subnet_group_name   = aws_db_subnet_group.this.name
  vpc_security_group_ids = [var.security_group_id]
  publicly_accessible    = false
  ca_cert_identifier     = "rds-ca-rsa2048-g1"
  parameter_group_name   = aws_db_parameter_group.this.name

  # The warehouse can be rebuilt from the lake, but a backup brings it back in minutes.
  backup_retention_period    = var.backup_days
  copy_tags_to_snapshot      = true
  deletion_protection        = var.deletion_protection
  skip_final_snapshot        = !var.deletion_protection
  final_snapshot_identifier  = "${var.name}-final"
  auto_minor_version_upgrade = true
  apply_immediately          = false
  backup_window              = "02:00-03:00"
  maintenance_window         = "sun:03:30-sun:04:30"

  monitoring_interval             = 60
  monitoring_role_arn             = aws_iam_role.monitoring.arn
  performance_insights_enabled    = true
  performance_insights_kms_key_id = var.key_arn
  enabled_cloudwatch_logs_exports = ["postgresql", "upgrade"]

  depends_on = [aws_cloudwatch_log_group.this]
}
