"""Exchange rates: quotations of two sources, and the rate of each day that follows from them.

`quotations.py` reads what the sources give, `policy.py` decides which rate a day has and which
quotation is refused, `process.py` makes both a feed, and `known.py` is the state that one delivery
passes to the next. `client.py` asks the daily source over HTTP, `receive.py` puts the answers into
the feed's log. Only `assets.py` knows Dagster.
"""
