"""Run by Alembic, on a connection that is inside a transaction already: all revisions are applied, or none."""

from __future__ import annotations

from alembic import context

from apizen.governance.records.tables import metadata

if hasattr(context, "config"):  # else it is imported by something that looks at every module, as for doctests
    connection = context.config.attributes["connection"]
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=True)
    with context.begin_transaction():
        context.run_migrations()
