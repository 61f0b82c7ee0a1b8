"""The zones that a batch goes through, by name: the first part of asset keys, and their groups."""

INGESTION, PROCESSED, WAREHOUSE = "ingestion", "processed", "warehouse"
