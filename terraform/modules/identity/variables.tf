variable "name" {
  description = "Prefix of the platform's names"
  type        = string
}

variable "repository" {
  description = "The repository on GitHub, as owner/name"
  type        = string

  validation {
    condition     = can(regex("^[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+$", var.repository))
    error_message = "repository must be owner/name, without a wildcard."
  }
}

variable "state_bucket_arn" {
  description = "The bucket of Terraform's state"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the state"
  type        = string
}

variable "registry_arn" {
  description = "The repository of images"
  type        = string
}
