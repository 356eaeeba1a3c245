"""Files that browsers bring: put straight to a place that was signed for them, then looked into.

ticket    what lets somebody put one file, for a while; pure
places    a folder or a bucket
dock      signs, takes in, confirms and sweeps
"""
