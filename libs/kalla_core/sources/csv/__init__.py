r"""CSV files: typed once, cut anywhere, read in parallel.

    dialect   what separates, quotes and ends; what stands for NULL
    encodings which encodings are cut as they are
    spelling  how values are written: `numbers`, `moments`; rewritten as documented, then cast
    quotes    where records begin: an exact, vectorised automaton over quotes
    comments  what hides from it: comments, escaped signs
    records   record boundaries in a file or a stream
    header    the column names; `footer` is where rows end
    made      columns that a format asks for; `numbering` counts their rows
    guess     how a file seems to be written
    packed    what a file holds that is packed
    body      the files of a source; `glance` are their first and last bytes
    sample    the rows that types are told from
    infer     from texts to types
    texts     why a column is text that looks like something else
    block     bytes of whole records → one Arrow batch
    united    batches of files with unlike columns in one schema
    locate    from a failure to line, column and remedy; `faults` are its sentences
    format    all of it as a `FormatReader`

**What is read**, unless the source's `format` says otherwise. UTF-8 with or without a byte order
mark. Records end with `\n`, `\r\n` or `\r`; a quote opens a quoted field
only at the field's start (elsewhere it is literal), `""` within one
is a quote, text behind a closing quote is an error: the rules of Python's `csv` and of Arrow's
reader, but strict. Blank lines are no rows. Empty unquoted is NULL, `""` is the empty string.

**Parts.** A file is scanned once for quotes when it is cut, at memory speed where it has none;
then each part is a list of exact offsets at which records begin; a range owns the records that
start in it. Parts are read by blocks that Arrow's reader parses on its own.

**Types** are told from a sample, once per source (see `sample` and `infer`); a later value that
does not fit is an error with line, column and the `types` entry that would accept it.
"""
