"""Evidence checked again, from its files alone, and every damage named.

damage      what can be found, and the list of it
files       each file against metadata.json: there, as long, the same bytes, as many rows
keys        the keys of a side as numbers, in bounded memory
accounts    rows counted again: the identity, cardinality, ids of matches and groups
amounts     control totals added up again
verify      all of it, in an order in which one damage does not hide another
"""
