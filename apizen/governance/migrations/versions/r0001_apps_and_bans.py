"""Apps, bans, maintenance."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "app",
        sa.Column("name", sa.String(100), primary_key=True),
        sa.Column("app_key", sa.String(32), nullable=False, unique=True),
        sa.Column("secret", sa.Text, nullable=False),
        sa.Column("enabled", sa.Boolean, nullable=False),
        sa.Column("addresses", sa.JSON, nullable=False),
        sa.Column("rate", sa.String(100), nullable=False),
        sa.Column("methods", sa.JSON, nullable=False),
    )
    op.create_table(
        "ban",
        sa.Column("network", sa.String(50), primary_key=True),
        sa.Column("until", sa.DateTime),
        sa.Column("reason", sa.Text, nullable=False),
    )
    state = op.create_table(
        "state",
        sa.Column("id", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("maintenance", sa.Text),
    )
    op.bulk_insert(state, [{"id": 1, "revision": 0, "maintenance": None}])


def downgrade() -> None:
    for table in ("state", "ban", "app"):
        op.drop_table(table)
