variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "region" {
  description = "AWS region"
  type        = string
}
