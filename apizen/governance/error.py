"""What can go wrong with apps, bans, their database, and counters; each text says to an operator what to do::

Exception
└── GovernanceError
    ├── SecretError      a key that can't be had, or is not the one that it was
    ├── DatabaseError    a database that can't be reached, read or brought up to date
    │   └── LostDatabaseError    one that does not hold any more what was read from it
    ├── FolderError      a data folder that can't be made or searched
    ├── RecordError      a name that is unknown, or taken
    └── CountersError    a store of counters that fails
        └── CountersFull    a table of a store that has no place
"""

from __future__ import annotations

__all__ = [
    "CountersError",
    "CountersFull",
    "DatabaseError",
    "FolderError",
    "GovernanceError",
    "LostDatabaseError",
    "RecordError",
    "SecretError",
]


class GovernanceError(Exception):
    """Base of the errors of this package."""


class SecretError(GovernanceError):
    """A key that can't be had, or is not the one that it was."""


class DatabaseError(GovernanceError):
    """A database that can't be reached, read or brought up to date."""


class LostDatabaseError(DatabaseError):
    """A database that has gone, was emptied, damaged, replaced or set back: it lacks what was read from it."""


class FolderError(GovernanceError):
    """A data folder that can't be made or searched."""


class RecordError(GovernanceError):
    """A name that is unknown, or taken."""


class CountersError(GovernanceError):
    """A store of counters fails."""


class CountersFull(CountersError):
    """A table of a store has no place for somebody who was not counted in it yet."""
