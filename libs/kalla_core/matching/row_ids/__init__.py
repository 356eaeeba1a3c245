"""Row numbers through a plan, so that each result row names its source rows."""
