"""What the database says when it cannot be used."""


class DatabaseError(Exception):
    """One sentence: code, what was found, what was wanted, what to do (exit code 1)."""

    def __init__(self, code: str, found: str, wanted: str, fix: str) -> None:
        """Keep the four parts; `args` holds them all, so that the error can be pickled."""
        super().__init__(code, found, wanted, fix)
        self.code, self.found, self.wanted, self.fix = code, found, wanted, fix

    def __str__(self) -> str:
        """Return the sentence: code, found; wanted. What to do."""
        return f"{self.code}: {self.found}; wanted {self.wanted}. {self.fix}"


class IdentityConflict(DatabaseError):
    """Two people, or two studies, under one identifier: never merged by guess."""
