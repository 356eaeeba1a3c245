"""Filters and rules said in plain English, in a small grammar that is sound rather than clever.

    words     columns, numbers and words in a sentence
    days      days and spans of days, from a stated day on
    filters   "amount over 1,000 and booked last month" as filters of a recipe
    rules     "ref equals payment_ref ignoring case and amount within 0.02 of paid" as match SQL

Everything in a sentence has to be understood, or all of it is refused, with the place where it was
not and what would have been: a filter that leaves out half of what somebody said is worse than
none. Nothing here guesses, and nothing knows what day it is.
"""
