"""The page: the reports as one HTML file that anybody can open, print and keep.

`answers.py` asks the reports, `charts.py` draws, `render.py` makes the page of both; none of them
knows Dagster. `published.py` keeps pages in the processed zone, `assets.py` is the asset.
"""
