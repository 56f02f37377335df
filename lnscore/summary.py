"""What a job says when it has ended: lines for a person, a dictionary for a machine."""

from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Summary(Protocol):
    """The result of `ingest`, `score`, `report`, `nightly`, `phantom`."""

    @property
    def exit_code(self) -> int:
        """0 done, 3 some studies refused or failed (see `errors`)."""
        ...

    def lines(self) -> list[str]:
        """What happened, in a few lines; the last says what to do next."""
        ...

    def as_dict(self) -> dict[str, Any]:
        """The same for `--json`."""
        ...
