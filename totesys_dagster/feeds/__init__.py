"""Feeds: what comes from elsewhere than ToteSys, as exchange rates or files.

Each feed has a log of its own in the lake, whose documents are deliveries; so it opens no batch of
ToteSys, and its outage holds up nothing else. As with batches, the warehouse is a function of the
log: a delivery is received once (`receive.py`), processed into Parquet and a receipt
(`process.py`), and loaded in one transaction, in order (`load.py`). Nothing here knows Dagster but
`assets.py`.
"""
