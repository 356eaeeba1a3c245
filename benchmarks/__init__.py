"""How fast Kalla is, beside peers that do the same work, and whether all of them are right.

    python -m benchmarks.generate one_to_one 100000 --format csv --out DIR   data and its truth
    python -m benchmarks.check EVIDENCE TRUTH                                are the rows right
    python -m benchmarks.peers.duckdb_peer --left .. --right .. --out ..     one peer, one run
    python -m benchmarks.run --size 100k                                     all of it, as ratios

`generate` makes invoices and payments from a seed, together with the exact pairs and unmatched
rows (the truth). `check` compares sets of keys with the truth, never counts alone. `peers` do the
full job of a run (read both sources, write pairs and both unmatched outputs with all columns) on
other engines, each a process of its own. `run` takes Kalla and the peers in turn and prints
ratios: a time without its peer beside it is not a result.
"""
