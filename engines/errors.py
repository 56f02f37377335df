"""What an engine or a bundle says when it cannot be used."""

from ground.errors import CodedError


class EngineError(CodedError):
    """An engine or a bundle cannot be used (exit code 4)."""
