"""What lnscore needs of other packages, as its own metadata state it."""

from importlib import metadata

from packaging.requirements import Requirement

OWN = "lnscore"


def missing(extra: str = "") -> list[str]:
    """Return the distributions that lnscore, or one of its extras, needs and that are not here.

    Args:
        extra: Name of an extra, as `train`; empty for the packages that every installation needs.

    Raises:
        importlib.metadata.PackageNotFoundError: lnscore runs from a folder and is not installed.
    """
    required = [Requirement(line) for line in metadata.requires(OWN) or ()]
    return [one.name for one in required if _needs(one, extra) and installed(one.name) is None]


def installed(distribution: str) -> str | None:
    """Return the version of a distribution, or None if it is not installed."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _needs(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement is there because of this extra, and of nothing else."""
    marker = requirement.marker
    if marker is None:
        return not extra
    return marker.evaluate({"extra": extra}) and (not extra or not marker.evaluate({"extra": ""}))
