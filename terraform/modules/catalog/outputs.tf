output "databases" {
  description = "Databases of Athena by zone"
  value       = { for zone, database in aws_glue_catalog_database.this : zone => database.name }
}

output "tables" {
  description = "How many tables each database has"
  value = {
    for zone in ["ingestion", "processed"] :
    zone => length([for table in local.tables : table if table.zone == zone])
  }
}
