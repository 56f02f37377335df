"""Tasks that misbehave as hostile files make a decoder misbehave; importable by a worker."""

import os
import signal
import time

from lnscore.errors import Refusal


def behave(task: str) -> str:
    """Do what the task's name says."""
    if task == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    if task == "hang":
        time.sleep(60)
    if task == "bomb":
        return str(len(bytearray(64 << 30)))
    if task == "refuse":
        raise Refusal("G99", "this", "that", "Do so.")
    if task == "defect":
        raise ZeroDivisionError("one of ours")
    return task.upper()
