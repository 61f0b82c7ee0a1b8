"""The page: the reports as one HTML file that anybody can open, print and keep.

`questions.py` queries the reports, `charts.py` draws, `render.py` combines both into the page; none
of them knows Dagster. `published.py` keeps pages in the processed zone, `assets.py` is the asset.
"""
