"""How a match SQL is cut and run: the plan that all others ask for."""
