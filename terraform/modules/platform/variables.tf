variable "name" {
  description = "Name of the environment, as part of every name"
  type        = string

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{2,24}$", var.name))
    error_message = "name must be 3 to 25 lower-case letters, digits and hyphens: the load balancer's name allows no more."
  }
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

variable "repository_arn" {
  description = "The repository of the image"
  type        = string
}

variable "permissions_boundary_arn" {
  description = "What no role may exceed; terraform/bootstrap makes it"
  type        = string
}

variable "running" {
  description = "Whether the services run; false until the databases are prepared"
  type        = bool
}

variable "agent" {
  description = "For Dagster+ Hybrid, in place of the services: the organization in its addresses and the agent's image; null for none"
  type        = object({ organization = string, image = string })
  default     = null

  validation {
    condition     = var.agent == null || !var.running
    error_message = "agent needs running = false: Dagster+ takes the place of the services, and both together would start every run twice."
  }
}

variable "retention_mode" {
  description = "Lock of the ingestion zone: GOVERNANCE or COMPLIANCE"
  type        = string
}

variable "retention_days" {
  description = "Days for which an object of the ingestion zone is locked"
  type        = number
}

variable "replica" {
  description = "Bucket in another region to copy the ingestion zone to, and its key (modules/replica); null for no copy"
  type        = object({ bucket_arn = string, key_arn = string })
  default     = null
}

variable "cidr" {
  description = "Addresses of the network"
  type        = string
}

variable "availability_zones" {
  description = "Two to four availability zones"
  type        = list(string)
}

variable "single_nat_gateway" {
  description = "One NAT gateway for all zones"
  type        = bool
}

variable "allowed_cidrs" {
  description = "Addresses from which people reach the UI"
  type        = list(string)
}

variable "source_cidrs" {
  description = "Addresses of ToteSys"
  type        = list(string)
}

variable "reader_cidrs" {
  description = "Private addresses from which the warehouse is read"
  type        = list(string)
  default     = []
}

variable "warehouse_instance_class" {
  description = "Size of the warehouse"
  type        = string
}

variable "warehouse_storage_gb" {
  description = "Initial storage of the warehouse"
  type        = number
}

variable "dagster_instance_class" {
  description = "Size of Dagster's database"
  type        = string
}

variable "multi_az" {
  description = "Keep standbys of the databases in another zone"
  type        = bool
}

variable "deletion_protection" {
  description = "Refuse to delete databases and load balancer"
  type        = bool
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

variable "poll_seconds" {
  description = "Seconds between polls of the source; ten minutes without a poll raise an alarm"
  type        = number
  default     = 30

  validation {
    condition     = var.poll_seconds >= 1 && var.poll_seconds <= 240
    error_message = "poll_seconds must be 1 to 240: ten minutes without a poll raise an alarm."
  }
}

variable "load_every_seconds" {
  description = "Seconds between loads, above 0"
  type        = number
  default     = 60
}

variable "settings" {
  description = "Further settings of README.md by name, such as TOTESYS_REPORTING_CURRENCY: those of all parts that are neither secret nor set by another variable"
  type        = map(string)
  default     = {}
}

variable "drops_from" {
  description = "ARNs of the roles and users that deliver files, into a bucket of their own; none for no such bucket"
  type        = list(string)
  default     = []

  validation {
    condition     = length(var.drops_from) == 0 || !contains(keys(var.settings), "TOTESYS_DROPS_URL")
    error_message = "drops_from makes a bucket for files, and settings name another place in TOTESYS_DROPS_URL: keep one of them."
  }
}

variable "alert_emails" {
  description = "Who is notified of alarms"
  type        = list(string)
}

variable "alert_mail" {
  description = "Sender and recipients of the platform's own alerts by mail, readers of the report page, and the port of the mail server that the secret `smtp-url` names; null for no mail server: the topic gets the alerts in any case"
  type        = object({ sender = string, recipients = list(string), port = number, readers = optional(list(string), []) })
  default     = null

  validation {
    condition     = var.alert_mail == null || try(length(var.alert_mail.recipients) > 0 && var.alert_mail.sender != "", false)
    error_message = "alert_mail must name a sender and at least one recipient."
  }
}

variable "monthly_budget_usd" {
  description = "What the account may cost per month"
  type        = number
}
