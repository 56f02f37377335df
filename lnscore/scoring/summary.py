"""The summary of a scoring run, as text and as JSON."""

from dataclasses import dataclass, field
from typing import Any

from db.records import RefusedRecord
from engines.manifest import caution
from lnscore.errors import EXIT_DONE, EXIT_SOME_REFUSED
from lnscore.quarantine_rows import sentence

SHOWN = 20


@dataclass(frozen=True)
class ScoreDifference:
    """A node for which the engine now gives another probability than the stored one."""

    study_uid: str
    node_id: int
    stored: float
    now: float


@dataclass(kw_only=True)
class ScoringSummary:
    """Counts, refusals and differences of one run (see `summary.Summary`).

    Attributes:
        engine: Name of the engine.
        reason: Why this engine and this back end.
        trained: Whether the engine is trained; False for the demo engine.
        phantom: Whether the engine was trained on phantoms.
        studies: Number of studies whose nodes were all scored.
        nodes: Number of nodes scored.
        added: Number of new scores.
        duration_s: Time from the first batch to the last commit, in seconds.
        differing: Nodes whose stored score differs from the new one.
        without_nodes: UIDs of requested studies that have no node that can be scored.
        refused: Studies whose patches cannot be used.
    """

    engine: str
    reason: str
    trained: bool
    phantom: bool = False
    studies: int = 0
    nodes: int = 0
    added: int = 0
    duration_s: float = 0.0
    differing: list[ScoreDifference] = field(default_factory=list)
    without_nodes: list[str] = field(default_factory=list)
    refused: list[RefusedRecord] = field(default_factory=list)

    @property
    def exit_code(self) -> int:
        """3 if a study was refused, has no node, or has scores that differ from before; else 0."""
        bad = self.refused or self.without_nodes or self.differing
        return EXIT_SOME_REFUSED if bad else EXIT_DONE

    def lines(self) -> list[str]:
        """Return the summary as a few lines of text."""
        lines = [self._first()]
        if doubt := caution(trained=self.trained, phantom=self.phantom):
            lines.append(f"engine {self.engine} is {doubt}")
        lines += [
            f"study {uid} has no node that can be scored (lnscore status --refused)"
            for uid in self.without_nodes[:SHOWN]
        ]
        lines += [
            f"node {one.node_id} of study {one.study_uid}: stored {one.stored:.6f}, "
            f"now {one.now:.6f}; the stored score is kept"
            for one in self.differing[:SHOWN]
        ]
        lines += [f"refused: {sentence(one)}" for one in self.refused[:SHOWN]]
        longest = max(map(len, (self.without_nodes, self.differing, self.refused)))
        if longest > SHOWN:
            lines.append(f"only the first {SHOWN} of each are listed (--json has all)")
        return lines

    def _first(self) -> str:
        if not self.nodes:
            return "nothing to score"
        rate = self.nodes / max(self.duration_s, 1e-6)
        return (
            f"{self.nodes} nodes of {self.studies} studies scored by engine {self.engine} "
            f"({rate:.0f} nodes/s); {self.added} scores are new"
        )

    def as_dict(self) -> dict[str, Any]:
        """Return the summary for `--json`."""
        refused = [
            {"code": one.code, "found": one.found, "wanted": one.wanted, "fix": one.fix}
            | {"study_uid": one.study_uid, "path": one.path}
            for one in self.refused
        ]
        rest = {"differing": [vars(one) for one in self.differing], "refused": refused}
        named = {"engine": self.engine, "reason": self.reason, "trained": self.trained}
        named |= {"phantom": self.phantom}
        without = {"without_nodes": self.without_nodes, "exit_code": self.exit_code}
        return self.counts() | rest | named | without

    def counts(self) -> dict[str, Any]:
        """Return the numbers that are stored in the run's row."""
        return {
            "studies": self.studies,
            "nodes": self.nodes,
            "added": self.added,
            "duration_s": round(self.duration_s, 3),
            "differing": len(self.differing),
            "without_nodes": len(self.without_nodes),
            "refused": len(self.refused),
        }
