"""The common form of every error that lnscore reports: a code and three short texts."""


class CodedError(Exception):
    """An error that a user can act on; each package raises a subclass of its own.

    Attributes:
        code: Code of the error, listed in `docs/errors.md`.
        found: What was found.
        wanted: What was expected instead.
        fix: What the user can do, one or more whole sentences.
    """

    def __init__(self, code: str, found: str, wanted: str, fix: str) -> None:
        """Keep the four parts; `args` holds them all, so that a worker process can send it."""
        super().__init__(code, found, wanted, fix)
        self.code, self.found, self.wanted, self.fix = code, found, wanted, fix

    def __str__(self) -> str:
        """Return one sentence with the code, what was found and wanted, and what to do."""
        return f"{self.code}: {self.found}; wanted {self.wanted}. {self.fix}"
