"""Feeds: data from outside ToteSys, such as exchange rates or files.

Each feed has its own log in the lake, whose documents are deliveries. So it opens no batch of
ToteSys, and its outage holds up nothing else. As with batches, the warehouse is a function of the
log: a delivery is received once (`receive.py`), processed into Parquet and a receipt
(`process.py`), and loaded in one transaction, in order (`load.py`). Only `assets.py` knows Dagster.
"""
