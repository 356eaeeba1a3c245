"""What the coordinator shows of itself: metrics."""
