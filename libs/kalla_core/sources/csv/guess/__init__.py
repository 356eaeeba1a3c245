"""How a file is written, told from its bytes, with the evidence for each thing told.

    encodings  from bytes to text
    layout     from text to a table: delimiter, quotes, header, lines that are no rows
    figures    signs and forms of numbers
    days       the order of days, months and years
    found      what was told, put together as a `format`

What the bytes do not decide is said and not guessed: `1.000`, `03/04/2026`. Pure.
"""
