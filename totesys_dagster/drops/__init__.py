"""Drops: files that others put into a directory or bucket, each read by a contract.

`place.py` lists and reads the place, `deliver.py` takes into the lake what the log of the feed
lacks, `reading.py` makes rows of a body or refuses it: as text first (`csv_text.py`,
`json_text.py`) or by its own types (`parquet.py`), then value by value (`cast.py`). Nothing is
inferred. Only `assets.py` knows Dagster.
"""
