# Run with `terraform test` in modules/postgres; AWS is not asked.

mock_provider "aws" {
  override_during = plan

  mock_data "aws_partition" {
    defaults = { partition = "aws" }
  }
}

variables {
  name                = "totesys-test"
  database            = "warehouse"
  key_arn             = "arn:aws:kms:eu-west-2:000000000000:key/test"
  subnet_ids          = ["subnet-0", "subnet-1"]
  security_group_id   = "sg-0"
  instance_class      = "db.t4g.micro"
  storage_gb          = 20
  multi_az            = false
  deletion_protection = false
}

run "a_small_server" {
  command = plan

  assert {
    condition     = output.memory == 1073741824 && output.max_connections == 112
    error_message = "The memory of a db.t4g.micro is a gigabyte, and 112 connections are RDS's default for it."
  }
}

run "a_server_for_memory" {
  command = plan

  variables {
    instance_class = "db.r7g.2xlarge"
  }

  assert {
    condition     = output.memory == 64 * 1073741824 && output.max_connections == 5000
    error_message = "The memory of a db.r7g.2xlarge is 64 gigabytes, and RDS allows 5000 connections at most."
  }
}

run "a_class_of_unknown_memory_is_refused" {
  command = plan

  variables {
    instance_class = "db.x2g.large"
  }

  expect_failures = [var.instance_class]
}
