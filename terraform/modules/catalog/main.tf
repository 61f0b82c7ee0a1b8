# Both zones as tables of Athena, without a crawler: the columns are those of the platform's catalogue
# (tables.json, written by `make render`), and partitions are projected.
#
#   <table>        one batch at a time: WHERE batch = '0000000042' reads that batch alone. The partition
#                  is of the type `injected`, so every query has to name the batches that it reads: of
#                  a range of numbers, Athena would ask S3 for each.
#   <table>_all    every batch, with "$path" for where a row is from: for questions over all of history
#
# A row of these tables is a row of a batch, not a version: a batch that reads a table again in full also
# has rows that did not change. Versions are in the warehouse.

data "aws_caller_identity" "current" {}

locals {
  catalogue = jsondecode(file("${path.module}/tables.json"))

  formats = {
    ingestion = {
      input      = "org.apache.hadoop.mapred.TextInputFormat"
      output     = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"
      serde      = "org.openx.data.jsonserde.JsonSerDe"
      parameters = { "case.insensitive" = "true" }
      type       = "json"
    }
    processed = {
      input      = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
      output     = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
      serde      = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
      parameters = { "serialization.format" = "1" }
      type       = "parquet"
    }
  }

  locations = merge(
    {
      for name, table in local.catalogue.ingestion :
      "ingestion/${name}" => "s3://${var.buckets.ingestion}/rows/${name}/"
    },
    {
      for name, table in local.catalogue.processed :
      "processed/${name}" => "s3://${var.buckets.processed}/rows/${name}/${table.revision}/"
    },
  )

  tables = merge([
    for key, location in local.locations : {
      for kind in ["", "_all"] : "${key}${kind}" => {
        zone      = split("/", key)[0]
        name      = "${split("/", key)[1]}${kind}"
        table     = local.catalogue[split("/", key)[0]][split("/", key)[1]]
        location  = location
        projected = kind == ""
      }
    }
  ]...)
}

resource "aws_glue_catalog_database" "this" {
  for_each = toset(["ingestion", "processed"])

  name        = "${replace(var.name, "-", "_")}_${each.key}"
  description = "The ${each.key} zone of the lake"
}

resource "aws_glue_catalog_table" "this" {
  for_each = local.tables

  database_name = aws_glue_catalog_database.this[each.value.zone].name
  name          = each.value.name
  description   = each.value.table.description
  table_type    = "EXTERNAL_TABLE"

  parameters = merge(
    { EXTERNAL = "TRUE", classification = local.formats[each.value.zone].type },
    each.value.projected ? {
      "projection.enabled"        = "true"
      "projection.batch.type"     = "injected"
      "storage.location.template" = "${each.value.location}batch=$${batch}/"
    } : {},
  )

  storage_descriptor {
    location      = each.value.location
    input_format  = local.formats[each.value.zone].input
    output_format = local.formats[each.value.zone].output

    ser_de_info {
      serialization_library = local.formats[each.value.zone].serde
      parameters            = local.formats[each.value.zone].parameters
    }

    dynamic "columns" {
      for_each = each.value.table.columns

      content {
        name    = columns.value.name
        type    = columns.value.type
        comment = columns.value.description
      }
    }
  }

  dynamic "partition_keys" {
    for_each = each.value.projected ? ["batch"] : []

    content {
      name    = partition_keys.value
      type    = "string"
      comment = "The sequence of the batch, ten digits long"
    }
  }
}

resource "aws_athena_workgroup" "this" {
  name = var.name

  configuration {
    enforce_workgroup_configuration    = true
    publish_cloudwatch_metrics_enabled = true
    # A query that scans the whole lake by mistake is canceled instead of billed in full.
    bytes_scanned_cutoff_per_query = var.query_limit_gb * 1024 * 1024 * 1024

    result_configuration {
      output_location       = "s3://${var.buckets.queries}/"
      expected_bucket_owner = data.aws_caller_identity.current.account_id

      encryption_configuration {
        encryption_option = "SSE_KMS"
        kms_key_arn       = var.key_arn
      }
    }
  }
}
