"""`kallad executor`: runs fragments of cluster runs, and serves what they leave to its peers.

app        builds, starts and stops everything
presence   the stream to the coordinator: registers, tells, is told, comes back
runner     fragments that run, each in a slot
slots    * how the memory is divided among slots
processes  the processes of slots, seen from here: a task in, its outcome out; kept for the next
child      the process of a slot: fetches, runs a fragment, answers
tasks      what the parent and that process tell each other
flight     serves spools to peers, raw bytes against signed tickets
exchange   the bytes of that: which pieces of a file travel, and how they are put down
fetch      takes spools from peers
probes     health, readiness and metrics for whoever watches the process
metrics    what is counted
command    the subcommand of `kallad`

Bytes of spools go from an executor's parent process straight to the slot that wants them. The
parent never holds rows: it serves files as they lie on disk.
"""
