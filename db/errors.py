"""What the database says when it cannot be used."""

from ground.errors import CodedError


class DatabaseError(CodedError):
    """The database cannot be used (exit code 1; 5 for a locked one)."""


class IdentityConflict(DatabaseError):
    """Two people, or two studies, under one identifier: never merged by guess."""
