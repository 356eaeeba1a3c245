"""Tables of MySQL and MariaDB, read through ODBC: the extra `mysql`."""

from kalla_core.sources.mysql.connector import mysql_tables

__all__ = ["mysql_tables"]
