variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "log_bucket" {
  description = "Bucket of access logs"
  type        = string
}

variable "principals" {
  description = "ARNs of the roles and users that deliver files"
  type        = list(string)

  validation {
    condition     = length(var.principals) > 0 && alltrue([for one in var.principals : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:(role|user)/[^*?]+$", one))])
    error_message = "principals must be ARNs of roles or users, each in full: arn:aws:iam::<account>:role/<name>."
  }
}
