variable "region" {
  description = "AWS region"
  type        = string
}

variable "availability_zones" {
  description = "Two to four availability zones"
  type        = list(string)
}

variable "image_tag" {
  description = "Tag of the image: a commit"
  type        = string
}

variable "running" {
  description = "Whether the services run; false until the databases are prepared"
  type        = bool
  default     = true
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

variable "settings" {
  description = "Further settings of README.md by name, such as TOTESYS_REPORTING_CURRENCY: those of all parts that are neither secret nor set by another variable"
  type        = map(string)
  default     = {}
}

variable "drops_from" {
  description = "ARNs of the roles and users that deliver files, into a bucket of their own; none for no such bucket"
  type        = list(string)
  default     = []
}

variable "alert_emails" {
  description = "Who is notified of alarms"
  type        = list(string)
}

variable "alert_mail" {
  description = "Sender and recipients of the platform's own alerts by mail, readers of the report page, and the port of the mail server that the secret `smtp-url` names; null for no mail server: the topic gets the alerts in any case"
  type        = object({ sender = string, recipients = list(string), port = number, readers = optional(list(string), []) })
  default     = null
}

variable "monthly_budget_usd" {
  description = "What the account may cost per month"
  type        = number
}

variable "cpu_architecture" {
  description = "Processors of the tasks: X86_64, or ARM64 (Graviton), for which the image must be built"
  type        = string
  default     = "X86_64"
}

variable "agent" {
  description = "For Dagster+ Hybrid, in place of the services: the organization in its addresses and the tag of the agent's image; null for none"
  type        = object({ organization = string, image_tag = string })
  default     = null
}

variable "replica_region" {
  description = "Another region, to copy the ingestion zone and backups to; null for no copies"
  type        = string
  default     = null

  validation {
    condition     = var.replica_region != var.region
    error_message = "replica_region must be another region than region."
  }
}

variable "retention_mode" {
  description = "Lock of the ingestion zone: GOVERNANCE, or COMPLIANCE, under which PII cannot be erased for a year"
  type        = string
  default     = "GOVERNANCE"
}
