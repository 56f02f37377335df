"""The error class of the trainer."""

from ground.errors import CodedError


class TrainerError(CodedError):
    """An error that stops the trainer (exit code 1)."""
