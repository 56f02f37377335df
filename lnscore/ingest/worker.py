"""The function that the driver gives to its workers.

It imports the parsers of files from outside only when it runs in a worker, so that the driver
never loads them.
"""

from lnscore.ingest.task import StudyResult, StudyTask


def read_study(task: StudyTask) -> StudyResult:
    """Read, check, measure and cut one study; runs in a worker (see `lnscore.ingest.study`)."""
    from lnscore.ingest import study

    return study.read_study(task)
