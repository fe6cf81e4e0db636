"""The kinds of destinations, one module each with all in which they differ; `include/load/kinds.py` lists them."""
