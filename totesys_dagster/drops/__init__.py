"""Drops: files that others put into a directory or bucket, each read according to a contract.

`place.py` lists and reads the place. `deliver.py` takes into the lake what the feed's log lacks.
`reading.py` turns a body into rows or refuses it: first as text (`csv_text.py`, `json_text.py`) or
by its own types (`parquet.py`), then value by value (`cast.py`). Nothing is inferred. Only
`assets.py` knows Dagster.
"""
