r"""CSV files: typed once, cut anywhere, read in parallel.

    dialect   what separates, quotes and ends; what stands for NULL
    quotes    where records begin: an exact, vectorised automaton over quotes
    records   record boundaries in a file or a stream
    header    the column names
    sample    the rows that types are told from
    infer     from texts to types
    block     bytes of whole records → one Arrow batch
    locate    from a failure to line, column and remedy
    format    all of it as a `FormatReader`

**What is read.** UTF-8 with or without a byte order mark. Records end with `\n`, `\r\n` or `\r`;
a quote opens a quoted field only at the field's start (elsewhere it is literal), `""` within one
is a quote, what follows a closing quote is literal: the rules of Python's `csv` and of Arrow's
reader. Blank lines are no rows. Empty unquoted is NULL, `""` is the empty string.

**Parts.** A file is scanned once for quotes when it is cut, at memory speed where it has none;
then each part is a list of exact offsets at which records begin; a range owns the records that
start in it. Parts are read by blocks that Arrow's reader parses on its own.

**Types** are told from a sample, once per source (see `sample` and `infer`); a later value that
does not fit is an error with line, column and the `types` entry that would accept it.
"""
