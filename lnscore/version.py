"""Which lnscore this is."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """The installed version, or 'unknown' in a bare checkout."""
    try:
        return installed("lnscore")
    except PackageNotFoundError:
        return "unknown"
