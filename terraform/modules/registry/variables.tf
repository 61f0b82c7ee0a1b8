variable "name" {
  description = "Name of the repository"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the images"
  type        = string
}
