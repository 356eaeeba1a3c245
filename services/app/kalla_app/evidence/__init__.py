"""Rows of a run: never changed here, and never read as a whole.

place    the folder that a run's evidence lies in, fetched once where it is not of this machine
copies   those that were fetched, until nobody looks at them any more
rows     a page of rows by filter and order, straight from Parquet
search   which rows hold a text; pure
"""
