"""The version of the installed lnscore."""

from importlib.metadata import PackageNotFoundError
from importlib.metadata import version as installed


def version() -> str:
    """Return the installed version, or 'unknown' if lnscore is not installed as a package."""
    try:
        return installed("lnscore")
    except PackageNotFoundError:
        return "unknown"
