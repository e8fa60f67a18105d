"""The changes of the database's tables, for Alembic; rows are the affair of `apizen.governance.records` alone.

A new change is a module in ``versions``, written by hand. Its number goes into `apizen.governance.records.tables`. A
test compares the tables that the changes make with those declared there.
"""
