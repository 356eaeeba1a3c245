"""Jobs as everybody sees them: the coordinator, its APIs, the client and the command line.

model      frozen values: a job, its stages and counts, pages, executors
document   the same as JSON, one place each way
"""
