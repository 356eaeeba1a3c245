"""Why a row is matched or not, in plain words, from evidence alone.

asked       a key as somebody types it, as the texts that it may be in the evidence
told        the parts of the sentence that a run left with an unmatched row
fate        what became of a row, and of its closest candidate
change      the smallest change that would have matched it
words       all of it as sentences, and as JSON
"""
