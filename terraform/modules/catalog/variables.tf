variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts answers"
  type        = string
}

variable "buckets" {
  description = "Names of the buckets"
  type        = object({ ingestion = string, processed = string, queries = string })
}

variable "query_limit_gb" {
  description = "Gigabytes that a query may read"
  type        = number
  default     = 100
}
