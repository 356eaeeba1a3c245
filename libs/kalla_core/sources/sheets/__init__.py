"""Workbooks: a sheet is read as the CSV that it could be saved as, but exactly (see `transcripts`).

    package  the files that a workbook is packed of, and the XML in them
    book     of an XLSX: its sheets, shared texts, and which cells are dates
    xlsx     the rows of a sheet of an XLSX; ods those of an ODS
    values   numbers, dates and texts of cells as CSV
    grid     rows of cells as lines: where the header is, how wide rows are, merged cells

Nothing is held but the shared texts of a workbook: sheets are read as streams. Foreign XML may
define nothing (`package`), so that a small file stays a small one.

**Numbers.** A workbook keeps doubles, written as text. What has at most 15 digits is read as it is
written. What has more is the shortest number that means the same double (1845.8599999999999 is
1845.86) and, where that has more than 15 digits still, rounded to 15 as every program shows it
(0.30000000000000004 is 0.3); whole numbers, and fractions beyond ten trillion, keep what is
written.
"""
