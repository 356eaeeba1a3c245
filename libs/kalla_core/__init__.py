"""Kalla: reconcile two data sets by a SQL rule, with every row accounted for."""
