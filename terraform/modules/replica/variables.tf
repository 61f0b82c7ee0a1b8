variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "retention_mode" {
  description = "Lock of the copies: GOVERNANCE or COMPLIANCE"
  type        = string
}

variable "retention_days" {
  description = "Days for which a copy is locked"
  type        = number
}

variable "database_arns" {
  description = "Databases whose backups are copied, by what is in them"
  type        = map(string)
}

variable "backup_days" {
  description = "Days for which copies of backups are kept"
  type        = number
  default     = 14
}
