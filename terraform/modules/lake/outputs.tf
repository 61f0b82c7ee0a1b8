output "buckets" {
  description = "Names of the buckets"
  value = {
    ingestion = aws_s3_bucket.zone["ingestion"].id
    processed = aws_s3_bucket.zone["processed"].id
    logs      = aws_s3_bucket.logs.id
    compute   = aws_s3_bucket.compute.id
    queries   = aws_s3_bucket.queries.id
  }
}

output "arns" {
  description = "ARNs of the buckets"
  value = {
    ingestion = aws_s3_bucket.zone["ingestion"].arn
    processed = aws_s3_bucket.zone["processed"].arn
    compute   = aws_s3_bucket.compute.arn
    queries   = aws_s3_bucket.queries.arn
  }
}

output "copies" {
  description = "Buckets and rule of the replication, as its metrics name them; null for no copies"
  value = var.replica == null ? null : {
    from = aws_s3_bucket.zone["ingestion"].id
    to   = split(":::", var.replica.bucket_arn)[1]
    rule = local.copy_rule
  }
}
