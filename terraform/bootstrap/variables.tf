variable "region" {
  description = "AWS region"
  type        = string
}

variable "repository" {
  description = "The repository on GitHub, as owner/name"
  type        = string
}
