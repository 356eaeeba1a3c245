"""Files that are read as the CSV that they could be saved as.

    format   any such kind as a `FormatReader`, over that of CSV
    pieces   bytes that are made while they are read, as a stream
    fields   which fields of `format` a kind of files has
    cells    texts as fields of the CSV that is made
    fixed    lines whose columns have a fixed width

`sheets` beside this package are workbooks. What is made is never kept: it is written while it is
read, line for line, so that the number of a line in a message is that of the line, or the row of
the sheet, which people see.
"""
