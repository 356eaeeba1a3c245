"""What services that speak HTTP have in common.

answers       errors, always in one form
bodies        what is sent to them, bounded in bytes and in time
streams       answers that come in pieces
connections   how many there may be, and how still
clock         the time by a clock that nobody sets, for what is removed or given up
server        uvicorn as a part of a process, on a socket that is there before
"""
