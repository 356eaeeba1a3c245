"""What DataFusion plans of a match SQL: types, casts, functions, where each value comes from."""
