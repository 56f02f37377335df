"""The error of engines and bundles."""

from ground.errors import CodedError


class EngineError(CodedError):
    """An engine or a bundle cannot be used (exit code 4)."""
