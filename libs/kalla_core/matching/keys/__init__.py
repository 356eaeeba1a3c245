"""What a pair must fulfil: the equalities that cut and explain, and the conditions beside them."""
