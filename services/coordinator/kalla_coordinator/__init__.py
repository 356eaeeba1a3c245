"""The coordinator: takes jobs over HTTP and gRPC, runs them, and tells how they ended.

app         builds, starts and stops everything
jobs        what is remembered of a run, and what is done next about it
callbacks   telling whoever asked for a job
api         HTTP, gRPC and Flight
cluster     executors: who is there, what they do, what to redo
observe     metrics
command     `kallad coordinator`
"""
