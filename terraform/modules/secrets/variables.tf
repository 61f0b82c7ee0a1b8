variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the secrets"
  type        = string
}
