"""What a run delivers: three Parquet files and metadata.json, all or nothing.

schema      names and columns of the outputs, by position, clashes settled
stored      Arrow types as Parquet can hold them
keys        keys as text, ids of matches and of groups
build       batches of the outputs, from rows, keys and reasons
row_group   batches encoded in memory
footer      Parquet footers merged, so that row groups encoded apart are one file
writer      one Parquet file out of many batches, by several threads
disk        errors of the file system, files hashed as they are written
output      where evidence goes, whatever kind of place that is
folder      ... a folder, claimed by one run, and its commit
lock        ... the lock that dies with its holder
publish     ... staged files put in place in one step, and what a killed run left
exchange    ... two paths swapped
s3_output   ... a prefix in S3, and what that is worth less
s3_claim    ... the claim on it
interrupts  steps that a Ctrl-C must not cut in two
accounting  every source row is matched or unmatched, proved
metadata    metadata.json
collect     ... part files of other processes moved there, and checked
reader      evidence read back and checked
found       ... rows of it found by a key
findings    ... the reasons in it, in brief
held        ... from files that are opened once, behind no link
places      ... from a folder or from S3
"""
