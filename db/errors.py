"""The errors of the database."""

from ground.errors import CodedError


class DatabaseError(CodedError):
    """The database cannot be used (exit code 1; 5 for a locked one)."""


class IdentityConflict(DatabaseError):
    """An identifier that stands for two people or two studies; these are never merged."""
