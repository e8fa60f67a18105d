"""What tells whether an app or a ban has changed, and not something else.

A stamp of 0 is as good as any other: the first change of its table gives it another one.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

_COLUMNS = ("app_stamp", "ban_stamp")


def upgrade() -> None:
    for name in _COLUMNS:
        op.add_column("state", sa.Column(name, sa.BigInteger, nullable=False, server_default="0"))


def downgrade() -> None:
    for name in _COLUMNS:
        op.drop_column("state", name)
