# The bucket has the account's number in its name, so pass it to `terraform init`:
#     terraform init -backend-config=bucket=… -backend-config=region=…
terraform {
  backend "s3" {
    key          = "staging.tfstate"
    encrypt      = true
    use_lockfile = true
  }
}
