variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "region" {
  description = "AWS region"
  type        = string
}

variable "key_arn" {
  description = "KMS key of the environment"
  type        = string
}

variable "bucket_arns" {
  description = "ARNs of the buckets"
  type        = object({ ingestion = string, processed = string, compute = string })
}

variable "drops_bucket_arn" {
  description = "Bucket in which files are delivered; null for none"
  type        = string
  default     = null
}

variable "secret_arns" {
  description = "ARNs of the secrets by name"
  type        = map(string)
}

variable "part_setting_secrets" {
  description = "For each part of the platform, the secrets that its program reads"
  type        = map(list(string))
}

variable "part_environment_secrets" {
  description = "For each part of the platform, the secrets that ECS puts into its environment"
  type        = map(list(string))
}

variable "log_group_arns" {
  description = "For each part of the platform, its log group"
  type        = map(string)
}

variable "cluster_arn" {
  description = "The ECS cluster"
  type        = string
}

variable "alert_topic_arn" {
  description = "Where the platform publishes alerts"
  type        = string
}

variable "repository_arn" {
  description = "The repository of the image"
  type        = string
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed, whatever its policy says; null for no boundary"
  type        = string
  default     = null
}
