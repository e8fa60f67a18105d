"""The database's schema, revision by revision, for Alembic. What stands in the tables is the affair of
`apizen.governance.records`, not of a revision, unless it must be brought into a new form.

A new one is a module in ``versions``, written by hand; its number goes into `apizen.governance.records.tables`. A test
compares what the revisions make with the tables.
"""
