"""Jobs: what the coordinator remembers of a run, and what it does next about it.

model       a job as everybody sees it
life     *  which news leads where, and what is to be done about it
admission*  who runs, who waits, who is sent away
stages   *  a job after a report of progress
allowed  *  what a request may name
record      a job as it is kept       schema, database, writer, store   keeping it
ledger      applies events: decide, store, act
runner      slots, hosts, what became of an attempt; engines chooses the host
niceness    the processes of jobs give way to the coordinator
local_host  the host that runs jobs on this machine
live        jobs that are not over, and who watches them
stored_jobs the service that the APIs speak to
recovery    what becomes of jobs that a coordinator finds when it starts
retention   removes what ended long ago

`*` is pure. The state machine's new state is on disk, with what is owed to the caller, before
anything is done about it, so a coordinator that is killed at any moment knows when it is back
what it had promised. Run attempts are numbered and stored before they begin; the stored decision
to commit is the point of no return.
"""
