"""Units of work as plain data: what to scan, what to join, what to settle.

cut         how many buckets, and which of them go together
model       fragments of a run on this machine
attempt     names of what one try at a fragment leaves behind
remote      fragments as they are sent to executors
outcome     what executors answer
work        how much an attempt did, by its outcome
cause       what a failure calls for
presence    what executors and the coordinator tell each other beside fragments
"""
