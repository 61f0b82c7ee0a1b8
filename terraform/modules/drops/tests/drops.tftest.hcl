# Run with `terraform test` in modules/drops; AWS is not asked. Who may do what is evaluated by
# totesys_dagster_tests/deployment.

mock_provider "aws" {
  override_during = plan

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::bucket" }
  }
}

variables {
  name       = "totesys-test"
  log_bucket = "logs"
  principals = ["arn:aws:iam::000000000000:role/planning"]
}

run "files_are_kept_and_private" {
  command = plan

  assert {
    condition = (
      aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
      && aws_s3_bucket_public_access_block.this.block_public_policy
      && aws_s3_bucket_public_access_block.this.restrict_public_buckets
      && alltrue([for rule in aws_s3_bucket_lifecycle_configuration.this.rule : length(rule.expiration) == 0])
    )
    error_message = "Delivered files are public, or earlier versions are lost."
  }
}

run "everybody_is_no_principal" {
  command = plan

  variables {
    principals = ["*"]
  }

  expect_failures = [var.principals]
}

run "a_whole_account_is_no_principal" {
  command = plan

  variables {
    principals = ["arn:aws:iam::000000000000:root"]
  }

  expect_failures = [var.principals]
}

run "nobody_is_no_principal" {
  command = plan

  variables {
    principals = []
  }

  expect_failures = [var.principals]
}
