"""What travels between processes: protobuf messages and their conversion, in one place.

Nothing outside this package knows protobuf. `generated` is made by `make proto` from `proto/` and
committed; a test regenerates it and compares.
"""
