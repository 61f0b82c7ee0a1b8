"""Exchange rates: quotations of two sources, and the rate of each day that follows from them.

`quotations.py` reads what the sources give, `policy.py` decides which rate a day has and which
quotation is refused, `process.py` is both as a feed; `known.py` is what one delivery tells the
next. `client.py` asks the daily source by HTTP, `receive.py` puts what came into the feed's log.
Nothing here knows Dagster but `assets.py`.
"""
