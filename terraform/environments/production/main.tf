# Production: two zones for everything, and a lock that nobody can undo.
#
# Objects of the ingestion zone are locked in COMPLIANCE mode for a year. Until then nobody can remove
# them or their bucket, not even the account's owner.

locals {
  name = "totesys-production"

  retention = { mode = "COMPLIANCE", days = 365 }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = {
      Project     = "totesys_dagster"
      Environment = "production"
    }
  }
}

provider "aws" {
  alias  = "replica"
  region = coalesce(var.replica_region, var.region)

  default_tags {
    tags = {
      Project     = "totesys_dagster"
      Environment = "production"
    }
  }
}

# Created once by terraform/bootstrap, for all environments.
data "aws_ecr_repository" "this" {
  name = "totesys"
}

data "aws_iam_policy" "boundary" {
  name = "totesys-boundary"
}

module "platform" {
  source = "../../modules/platform"

  name                     = local.name
  region                   = var.region
  image                    = "${data.aws_ecr_repository.this.repository_url}:${var.image_tag}"
  repository_arn           = data.aws_ecr_repository.this.arn
  permissions_boundary_arn = data.aws_iam_policy.boundary.arn
  cpu_architecture         = var.cpu_architecture
  running                  = var.running
  agent = var.agent == null ? null : {
    organization = var.agent.organization
    image        = "${data.aws_ecr_repository.this.repository_url}:${var.agent.image_tag}"
  }

  retention_mode = local.retention.mode
  retention_days = local.retention.days
  replica        = one(module.replica[*].ingestion)

  cidr               = "10.40.0.0/16"
  availability_zones = var.availability_zones
  single_nat_gateway = false
  allowed_cidrs      = var.allowed_cidrs
  source_cidrs       = var.source_cidrs
  reader_cidrs       = var.reader_cidrs

  warehouse_instance_class = "db.m7g.large"
  warehouse_storage_gb     = 100
  dagster_instance_class   = "db.t4g.small"
  multi_az                 = true
  deletion_protection      = true

  domain_name           = var.domain_name
  hosted_zone_id        = var.hosted_zone_id
  cognito_domain_prefix = var.cognito_domain_prefix

  settings           = var.settings
  drops_from         = var.drops_from
  alert_emails       = var.alert_emails
  alert_mail         = var.alert_mail
  monthly_budget_usd = var.monthly_budget_usd
}

# A separate module, because it is in another region and must survive the loss of this one.
module "replica" {
  source = "../../modules/replica"
  count  = var.replica_region == null ? 0 : 1

  providers = { aws = aws.replica }

  name           = local.name
  retention_mode = local.retention.mode
  retention_days = local.retention.days
  database_arns  = module.platform.database_arns
}
