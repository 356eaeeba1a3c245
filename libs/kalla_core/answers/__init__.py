"""What is made of evidence for people and for other programs.

selection   some rows and columns of an output, as batches
encode      rows in a format, as a stream: CSV, JSON, Parquet, Arrow, Excel
rows_csv    ... columns as CSV can have them     rows_json   ... rows as JSON objects
xlsx/       ... workbooks, streamed
money       which columns hold amounts       groups     matches of several rows, each as one
spread      rows by sizes of amounts, and matches by days between
report/     what a run found, as a page and as a workbook
why/        why a row is matched or not
comparison/ what changed between two runs
verification/   evidence checked again, every damage named

All of it reads evidence through `kalla_core.evidence.reader`, in bounded memory.
"""
