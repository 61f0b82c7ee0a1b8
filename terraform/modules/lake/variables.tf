variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts the objects"
  type        = string
}

variable "retention_mode" {
  description = "GOVERNANCE, or COMPLIANCE, which not even the account's owner can undo before the period ends, so that nothing can be erased until then"
  type        = string

  validation {
    condition     = contains(["GOVERNANCE", "COMPLIANCE"], var.retention_mode)
    error_message = "retention_mode must be GOVERNANCE or COMPLIANCE."
  }
}

variable "retention_days" {
  description = "Days for which an object of the ingestion zone is locked"
  type        = number

  validation {
    condition     = var.retention_days >= 1
    error_message = "retention_days must be at least 1: without a lock, the ingestion zone could be emptied."
  }
}

variable "hidden_version_days" {
  description = "Days after which a version that an administrator has hidden is removed permanently"
  type        = number
  default     = 90
}

variable "log_days" {
  description = "Days for which access logs are kept"
  type        = number
  default     = 365
}

variable "replica" {
  description = "Bucket in another region to copy the ingestion zone to, and its key (modules/replica); null for no copy"
  type        = object({ bucket_arn = string, key_arn = string })
  default     = null
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed, whatever its policy says; null for no boundary"
  type        = string
  default     = null
}
