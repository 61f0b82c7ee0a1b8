# Run with `terraform test` in modules/network; AWS is not asked.

mock_provider "aws" {}

variables {
  name                     = "totesys-test"
  region                   = "eu-west-2"
  key_arn                  = "arn:aws:kms:eu-west-2:000000000000:key/test"
  cidr                     = "10.0.0.0/16"
  availability_zones       = ["eu-west-2a", "eu-west-2b"]
  single_nat_gateway       = true
  allowed_cidrs            = ["192.0.2.0/24"]
  source_cidrs             = ["198.51.100.10/32"]
  permissions_boundary_arn = "arn:aws:iam::000000000000:policy/totesys-boundary"
}

run "a_stage_reaches_what_it_needs" {
  command = plan

  assert {
    condition     = [for client in keys(local.database_clients) : client if endswith(client, "_warehouse")] == ["load_warehouse", "platform_warehouse"]
    error_message = "Another stage than load reaches the warehouse, or it does not."
  }

  assert {
    condition     = toset([for client in keys(local.source_clients) : split(" ", client)[0]]) == toset(["capture", "platform"])
    error_message = "Another stage than capture reaches ToteSys, or it does not."
  }
}
