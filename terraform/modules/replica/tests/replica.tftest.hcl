# Run with `terraform test` in modules/replica; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_caller_identity" {
    defaults = { account_id = "000000000000" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-1:000000000000:key/replica" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::replica" }
  }
}

variables {
  name           = "totesys-test"
  retention_mode = "COMPLIANCE"
  retention_days = 365
  database_arns  = { warehouse = "arn:aws:rds:eu-west-2:000000000000:db:totesys-test-warehouse" }
}

run "copies_are_locked_as_what_they_are_of" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket.ingestion.object_lock_enabled
      && aws_s3_bucket_object_lock_configuration.ingestion.rule[0].default_retention[0].mode == "COMPLIANCE"
      && aws_s3_bucket_object_lock_configuration.ingestion.rule[0].default_retention[0].days == 365
    )
    error_message = "A copy can be removed before what it is of."
  }
}

run "only_replication_writes_and_nobody_deletes" {
  command = plan

  assert {
    condition = alltrue([
      for action in ["s3:PutObject", "s3:DeleteObject", "s3:DeleteObjectVersion", "s3:ReplicateDelete", "s3:BypassGovernanceRetention"] : anytrue([
        for statement in jsondecode(aws_s3_bucket_policy.ingestion.policy).Statement :
        statement.Effect == "Deny" && statement.Principal == "*" && contains(flatten([statement.Action]), action)
        && !contains(keys(statement), "Condition")
      ])
    ])
    error_message = "Somebody may write copies or delete them."
  }
}

run "backups_have_a_key_of_their_own_region" {
  command = plan

  assert {
    condition     = aws_db_instance_automated_backups_replication.this["warehouse"].kms_key_id == aws_kms_key.this.arn
    error_message = "The copy of a backup has a key that is lost with the region."
  }
}
