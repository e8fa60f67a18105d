"""The changes of the database's tables, for Alembic; nothing that servers or commands do with their rows.

A new change is a module in ``versions``, written by hand, which imports nothing of `apizen`: that goes on, the change
stays. Its number goes into `apizen.governance.records.tables`. A test compares the tables that the changes make with
those declared there.
"""
