output "ingestion" {
  description = "Where the ingestion zone is copied to, and with which key"
  value       = { bucket_arn = aws_s3_bucket.ingestion.arn, key_arn = aws_kms_key.this.arn }
}
