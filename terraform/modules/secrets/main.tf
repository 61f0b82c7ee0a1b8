# Secrets without their values, which Terraform would keep in its state. The owner of ToteSys stores its
# connection string, whoever sets `alert_mail` that of the mail server, and
# deploy/aws/prepare_databases.py all others. See docs/deployment.md.

locals {
  secrets = {
    source-dsn          = "TOTESYS_SOURCE_DSN: ToteSys as totesys_extractor"
    warehouse-dsn       = "TOTESYS_WAREHOUSE_DSN: the warehouse as warehouse_loader"
    warehouse-admin-dsn = "TOTESYS_WAREHOUSE_ADMIN_DSN: the warehouse as warehouse_admin"
    smtp-url            = "TOTESYS_SMTP_URL: the mail server of alerts; empty where none are mailed"
    dagster-password    = "DAGSTER_POSTGRES_PASSWORD: the database of Dagster as dagster"
  }
}

resource "aws_secretsmanager_secret" "this" {
  #checkov:skip=CKV2_AWS_57: rotated by running deploy/aws/prepare_databases.py, and by the owners of ToteSys and of the mail server
  for_each = local.secrets

  name                    = "${var.name}/${each.key}"
  description             = each.value
  kms_key_id              = var.key_arn
  recovery_window_in_days = 7
}
