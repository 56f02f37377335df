"""What every back end offers: one module each, with `REQUIRES`, `is_available` and `load`."""

from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from engines.manifest import Precision
from engines.scores import Scores
from engines.shapes import Patches

if TYPE_CHECKING:
    from engines.bundle import Bundle


@dataclass(frozen=True)
class Availability:
    """Whether a back end can run here; false in an `if` when it cannot.

    Attributes:
        ok: It can.
        reason: What it has, or what it lacks, for people.
        code: Of the refusal where it cannot.
        fix: What to do then.
    """

    ok: bool
    reason: str
    code: str = "E02"
    fix: str = "Install what is missing, or choose another back end."

    def __bool__(self) -> bool:
        """Return whether the back end can run."""
        return self.ok


@runtime_checkable
class Engine(Protocol):
    """A loaded bundle that scores.

    Attributes:
        bundle: What was loaded.
        backend: The back end's name.
        precision: Of weights and arithmetic.
        reason: The line that says why this back end.
        batch_nodes: How many nodes at a time it scores fastest.
    """

    @property
    def bundle(self) -> "Bundle": ...  # noqa: D102
    @property
    def backend(self) -> str: ...  # noqa: D102
    @property
    def precision(self) -> Precision: ...  # noqa: D102
    @property
    def reason(self) -> str: ...  # noqa: D102
    @property
    def batch_nodes(self) -> int: ...  # noqa: D102

    def score(self, patches: Patches) -> Scores:
        """Score HU patches of shape (node, 18, 80, 80); no node at all is fine."""
        ...


@runtime_checkable
class Backend(Protocol):
    """A back end's module."""

    REQUIRES: dict[str, str]

    def is_available(self) -> Availability:
        """Say whether it can run here, without loading anything heavy."""
        ...

    def load(
        self,
        bundle: "Bundle",
        precision: Precision,
        threads: int | None,
        why: str,
    ) -> Engine:
        """Load the bundle's model; `why` it was chosen goes into the engine's `reason`."""
        ...


def installed(distributions: tuple[str, ...]) -> str | None:
    """Version of the first of these distributions that is installed, or None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None
