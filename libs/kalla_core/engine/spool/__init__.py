"""Where rows are while they wait: in memory or in buckets on disk, and how they get there."""
