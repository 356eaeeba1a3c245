"""The match SQL over rows, in memory, by buckets or from disk, and the evidence it writes."""
