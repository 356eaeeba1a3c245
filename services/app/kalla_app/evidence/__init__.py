"""Rows of a run: never changed here, and never read as a whole.

place        the folder that a run's evidence lies in, fetched once where it is not of this machine
copies       those that were fetched, until nobody looks at them any more
asked        which rows somebody asks for; pure
rows         a page of rows by filter and order, straight from Parquet; files opens it
row_texts    their values as texts
open_rows    what a run left open on a side, rests of matched rows as well
abreast      a row and those that came close to it, field by field; pure
closest      which these are, and what kept them apart
wanted       which rows of a table are asked for; pure
search       which rows hold a text; pure
selections   which rows were asked for lately, so that they are found once
order        rows in the order of a column, all of them or the first
texts_file   a file with the texts of all rows, to be looked through
kept         what was read of it, in memory
beside       files that are made of evidence and lie beside it
lookup_file  writes them, in a process of its own
lookups      has them made
spread_file  writes how the rows of a large run are spread, likewise
spreads      has it counted
seek         which rows of a large set are asked for, on two threads
pages        pages for whoever is served meanwhile
"""
