"""Where the app remembers: SQLite below its data path, or a schema of a PostgreSQL database.

database    the engine; transactions that read and that write
tables      all tables, and how older ones become these
vault       what holds secrets, sealed
audit       who did what, a chain that shows if a link is missing
sources, recipes, runs, exceptions, uploads, sessions, chats
one module per noun; what takes a connection is part of its caller's transaction
"""
