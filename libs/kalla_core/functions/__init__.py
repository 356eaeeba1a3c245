"""The functions Kalla adds to match SQL: exact, vectorised, one variant per mix of types."""
