"""The summary that an import or a preview of pathology prints."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from lnscore.errors import EXIT_DONE, EXIT_ERROR
from lnscore.tables.messages import Message

SHOWN = 20
"""Largest number of printed messages of one code and severity; `--json` has all."""

GRAVITY = {"E": "error", "W": "warning", "I": "note"}


@dataclass(kw_only=True)
class PathologySummary:
    """Counts and messages of one import (see `summary.Summary`).

    Attributes:
        format: Format of the file: table, jsonl, hl7 or fhir.
        said: Notes on how the file was read, such as its encoding.
        sha256: SHA-256 of the file.
        rows: Number of findings without an error.
        patients: Number of patients in the file.
        pending: Number of these patients who have no study so far.
        new: Number of new reports.
        changed: Number of reports that differ from their stored version; the newest counts.
        same: Number of reports that are stored already.
        outdated: Number of these stored reports that a later import has replaced.
        findings: Number of findings added.
        written: False if an error stopped the import.
        messages: All messages, in the order of the file.
    """

    format: str
    notes: tuple[str, ...] = ()
    sha256: str = ""
    rows: int = 0
    patients: int = 0
    pending: int = 0
    new: int = 0
    changed: int = 0
    same: int = 0
    outdated: int = 0
    findings: int = 0
    written: bool = False
    messages: list[Message] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """1 if an error stopped the import, so that nothing was written; else 0."""
        return EXIT_ERROR if any(one.severity == "E" for one in self.messages) else EXIT_DONE

    def lines(self) -> list[str]:
        """Return the result, then the messages, then the next step."""
        return [*self._read(), *self._done(), *spoken(self.messages), *self._next()]

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        return self.counts() | {
            "said": list(self.notes),
            "messages": [one.as_dict() for one in self.messages],
            "exit_code": self.exit_code,
        }

    def counts(self) -> dict[str, Any]:
        """Return the values for the run's row: numbers, and the file's hash, not its name."""
        names = ("format", "sha256", "rows", "patients", "pending", "new", "changed", "same",
                 "outdated", "findings", "written")  # fmt: skip
        codes = Counter(one.code for one in self.messages)
        return {name: getattr(self, name) for name in names} | {"codes": dict(codes)}

    def _read(self) -> list[str]:
        detected = f" ({'; '.join(self.notes)})" if self.notes else ""
        found = f"{self.rows} findings"
        if self.patients:
            found += f" of {self.patients} patients"
        return [f"read as {self.format}{detected}: {found}"]

    def _done(self) -> list[str]:
        if not self.written:
            return ["nothing was written"]
        lines = [
            f"reports: {self.new} new, {self.changed} changed, {self.same} already there; "
            f"{self.findings} findings added"
        ]
        if self.outdated:
            lines.append(
                f"{self.outdated} of these are older versions; the later import stays valid"
            )
        if self.pending:
            lines.append(f"{self.pending} patients have no study yet")
        return lines

    def _next(self) -> list[str]:
        if self.written:
            return ["Next: lnscore pathology status"]
        count = sum(one.severity == "E" for one in self.messages)
        return [f"{counted(count)}: correct and import again"] if count else []


def counted(errors: int) -> str:
    """Return a number of errors in words: `1 error`, `2 errors`."""
    return f"{errors} error{'' if errors == 1 else 's'}"


def spoken(messages: Iterable[Message]) -> list[str]:
    """Return the messages to print: errors first, at most `SHOWN` of each code."""
    by_kind: dict[tuple[str, str], list[Message]] = {}
    for one in messages:
        by_kind.setdefault((one.severity, one.code), []).append(one)
    lines = []
    for severity, gravity in GRAVITY.items():
        for (kind, code), some in sorted(by_kind.items()):
            if kind == severity:
                lines += [f"{gravity} {one.sentence}" for one in some[:SHOWN]]
                if some[SHOWN:]:
                    lines.append(f"... and {len(some) - SHOWN} more {code} (--json has all)")
    return lines
