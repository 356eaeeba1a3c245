"""The keys of rows: their values, hashes and buckets, and how often each occurs."""
