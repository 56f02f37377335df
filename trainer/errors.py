"""What the trainer says when it cannot go on."""

from ground.errors import CodedError


class TrainerError(CodedError):
    """The trainer cannot go on (exit code 1)."""
