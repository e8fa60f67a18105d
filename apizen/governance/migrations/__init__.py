"""The database's schema, revision by revision, for Alembic.

A new one is a module in ``versions``, written by hand; its number goes into `apizen.governance.records.tables`. A test
compares what the revisions make with the tables.
"""
