"""Runs: stored before they are dispatched, and told of until they have ended.

life        a run's state after each piece of news; pure
callbacks   what the coordinator sends, read and verified
dispatch    the outbox: what the coordinator is to be told, until it has taken it
service     starts, lists and cancels runs
watch       lets many watch a run that is read once
"""
