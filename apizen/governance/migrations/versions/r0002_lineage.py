"""What tells a database from another one."""

from __future__ import annotations

import secrets

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    lineage = sa.Column("lineage", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("state", lineage)
    op.execute(sa.table("state", sa.column("lineage")).update().values(lineage=1 + secrets.randbelow(2**63 - 1)))


def downgrade() -> None:
    op.drop_column("state", "lineage")
