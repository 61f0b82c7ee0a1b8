variable "name" {
  description = "Name of the server"
  type        = string
}

variable "database" {
  description = "Name of the database"
  type        = string
}

variable "key_arn" {
  description = "KMS key that encrypts storage, backups, logs and the administrator's password"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets of the server"
  type        = list(string)
}

variable "security_group_id" {
  description = "Security group of the server"
  type        = string
}

variable "instance_class" {
  description = "Size of the server"
  type        = string

  validation {
    condition     = can(regex("^db\\.[tmr]\\w+\\.(micro|small|medium|large|(2|4|8|12|16|24)?xlarge)$", var.instance_class))
    error_message = "instance_class must be an RDS class of family t, m or r, such as db.t4g.medium: its memory determines the alarms."
  }
}

variable "storage_gb" {
  description = "Initial storage; it grows automatically to up to five times that"
  type        = number
}

variable "multi_az" {
  description = "Keep a standby in another availability zone"
  type        = bool
}

variable "backup_days" {
  description = "Days for which backups are kept"
  type        = number
  default     = 14
}

variable "deletion_protection" {
  description = "Refuse to delete the server"
  type        = bool
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed, whatever its policy says; null for no boundary"
  type        = string
  default     = null
}
