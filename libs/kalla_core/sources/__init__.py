"""Where rows come from: connectors, found by URI."""
