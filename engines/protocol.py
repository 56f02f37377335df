"""Interfaces of an engine and of a back end.

Every back end is one module with `REQUIRES`, `is_available` and `load`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import metadata
from types import MappingProxyType
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from packaging.version import Version

from engines.back_ends import Precision
from engines.scores import Scores
from engines.shapes import Patches

if TYPE_CHECKING:
    from engines.bundle import Bundle


@dataclass(frozen=True)
class Availability:
    """Result of asking a back end whether it can run here; falsy when it cannot.

    Attributes:
        ok: True if the back end can run here.
        reason: Text for people: what was found, or what is missing.
        code: Error code to report if it cannot run.
        fix: What the user can do if it cannot run.
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
    """A loaded bundle that can score nodes.

    Attributes:
        bundle: The bundle that was loaded.
        backend: The back end's name.
        precision: Precision of the weights and of the arithmetic.
        reason: One line that names the back end and says why it was chosen.
        batch_nodes: Number of nodes per call of `score` at which it is fastest.
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
        """Score HU patches of shape (node, 18, 80, 80); zero nodes are allowed."""
        ...


@runtime_checkable
class Backend(Protocol):
    """The module of a back end."""

    REQUIRES: dict[str, str]

    def is_available(self) -> Availability:
        """Check whether the back end can run here, without loading anything heavy."""
        ...

    def load(
        self,
        bundle: "Bundle",
        precision: Precision,
        threads: int | None,
        why: str,
    ) -> Engine:
        """Load the bundle's model.

        `why` says why the back end was chosen; it becomes part of the engine's `reason`.
        """
        ...


def installed(distributions: tuple[str, ...]) -> str | None:
    """Return the version of the first of these distributions that is installed, or None."""
    for name in distributions:
        try:
            return metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return None


def too_old(
    requires: Mapping[str, str], names: Mapping[str, tuple[str, ...]] = MappingProxyType({})
) -> str:
    """Return what is installed in a version that is too old, in words; empty if nothing is.

    Args:
        requires: Oldest supported version, by package.
        names: Distributions that may contain a package; by default the package's own name.
    """
    old = []
    for package, oldest in requires.items():
        found = installed(names.get(package, (package,)))
        if found is not None and Version(found) < Version(oldest):
            old.append(f"{package} {found} is installed, and {oldest} or newer is needed")
    return "; ".join(old)
