"""Who may come in and what for.

people      names, roles and tokens, and what each request needs; pure
gate        lets requests through or answers them itself, and says what browsers may do
"""
