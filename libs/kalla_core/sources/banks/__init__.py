"""Statements of banks as tables of their entries.

    entries  what an entry and a statement are, the columns, and whether a statement adds up
    camt     ISO 20022 camt.053 (and 052, 054): XML
    mt940    SWIFT MT940; narrative are its structured texts
    bai2     BAI2
    reader   all of them as `streams.kind.Kind`

Amounts are signed: what was credited is positive. A statement whose opening balance and entries are
not its closing balance is an error that names it, because an entry is missing or is there twice.
"""
