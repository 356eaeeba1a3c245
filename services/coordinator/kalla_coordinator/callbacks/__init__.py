"""Telling whoever asked for a job how it goes and how it ended.

    payloads   the bodies
    delivery   one message that is owed
    retry      when it is tried again
    outbox     sends what is owed until it is taken, per receiver; progress beside it

What is owed is stored in the same transaction as the state it tells of (`jobs.store`), and is
forgotten once it was answered with 2xx.
"""
