variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string
}

variable "region" {
  description = "AWS region"
  type        = string
}

variable "image" {
  description = "The image of all parts, with its tag"
  type        = string
}

variable "cpu_architecture" {
  description = "Processors of the tasks: X86_64, or ARM64 (Graviton), for which the image must be built"
  type        = string
  default     = "X86_64"

  validation {
    condition     = contains(["X86_64", "ARM64"], var.cpu_architecture)
    error_message = "cpu_architecture must be X86_64 or ARM64."
  }
}

variable "running" {
  description = "Whether the services run; false until the databases are prepared"
  type        = bool
}

variable "cluster_arn" {
  description = "The ECS cluster"
  type        = string
}

variable "log_groups" {
  description = "For each part of the platform, the name of its log group"
  type        = map(string)
}

variable "task_role_arns" {
  description = "For each part of the platform, the role of its program"
  type        = map(string)
}

variable "execution_role_arns" {
  description = "For each part of the platform, the role with which ECS starts it"
  type        = map(string)
}

variable "part_setting_secrets" {
  description = "For each part of the platform, the settings that its program reads from a secret: name to ARN"
  type        = map(map(string))
}

variable "part_environment_secrets" {
  description = "For each part of the platform, the secrets that ECS puts into its environment: name to valueFrom"
  type        = map(map(string))
}

variable "secret_arns" {
  description = "ARNs of the secrets by name"
  type        = map(string)
}

variable "buckets" {
  description = "Names of the buckets"
  type        = object({ ingestion = string, processed = string, compute = string, logs = string })
}

variable "warehouse_database" {
  description = "Where the warehouse is"
  type        = object({ host = string, name = string })
}

variable "dagster_database" {
  description = "Where Dagster keeps its history"
  type        = object({ host = string, name = string })
}

variable "vpc_id" {
  description = "The network"
  type        = string
}

variable "public_subnet_ids" {
  description = "Subnets of the load balancer"
  type        = list(string)
}

variable "private_subnet_ids" {
  description = "Subnets of the tasks"
  type        = list(string)
}

variable "security_groups" {
  description = "Security groups by what is in them"
  type        = object({ balancer = string, web = string, platform = string, capture = string, process = string, load = string })
}

variable "domain_name" {
  description = "Name under which people reach the UI"
  type        = string
}

variable "hosted_zone_id" {
  description = "Route 53 zone of that name"
  type        = string
}

variable "cognito_domain_prefix" {
  description = "Prefix of the login page's address, unique in the region"
  type        = string
}

variable "deletion_protection" {
  description = "Refuse to delete the load balancer"
  type        = bool
}

variable "poll_seconds" {
  description = "TOTESYS_POLL_SECONDS"
  type        = number
}

variable "load_every_seconds" {
  description = "TOTESYS_LOAD_EVERY_SECONDS. Above 0, so that processing and loading are separate runs, each with its own role"
  type        = number

  validation {
    condition     = var.load_every_seconds > 0
    error_message = "load_every_seconds must be above 0: at 0, one run processes and loads, and needs the rights of both."
  }
}

variable "alert_topic_arn" {
  description = "TOTESYS_ALERT_TOPIC: where the platform publishes alerts"
  type        = string
}

variable "alert_mail" {
  description = "TOTESYS_ALERT_FROM, TOTESYS_ALERT_TO and TOTESYS_REPORT_TO; null where no alerts are mailed"
  type        = object({ sender = string, recipients = list(string), readers = optional(list(string), []) })
  default     = null
}

variable "settings" {
  description = "Further settings of README.md by name, such as TOTESYS_REPORTING_CURRENCY: those of all parts that are neither secret nor set by another variable"
  type        = map(string)
  default     = {}

  validation {
    condition = length(setsubtract(keys(var.settings), [
      "TOTESYS_CODE_URL", "TOTESYS_CONTRACTS", "TOTESYS_DROPS_URL", "TOTESYS_DROP_BYTES",
      "TOTESYS_FRESHNESS_MINUTES", "TOTESYS_HISTORY_DAYS", "TOTESYS_LISTED_BATCHES", "TOTESYS_LOG_FORMAT",
      "TOTESYS_PART_BYTES", "TOTESYS_PROCESS_AT_ONCE", "TOTESYS_QUARANTINE_LIMIT",
      "TOTESYS_RATES_FALLBACK_URL", "TOTESYS_RATES_URL", "TOTESYS_REPORTING_CURRENCY",
      "TOTESYS_REPORT_STAFF", "TOTESYS_ROW_BYTES", "TOTESYS_TRUSTED_HOSTS", "TOTESYS_VERIFY_SCHEDULE",
      "TOTESYS_WAREHOUSE_SCHEMA", "TOTESYS_WEB_HOSTS",
    ])) == 0
    error_message = "settings may name only settings of README.md that are neither secret nor set by another variable."
  }
}
