"""Pairs of tables with a known truth, to see what recipes are inferred for them.

cases     what a case is, and the rows that most are made of
keys      cases in which a key brings rows together, however it is written
amounts   fees, tolerances, signs, groups and batches
loose     no key, decoys, and shapes from elsewhere
people    accounts, people, subscriptions, trades, texts that list references
score     inferred and hand-written recipes, run and compared with the truth
"""
