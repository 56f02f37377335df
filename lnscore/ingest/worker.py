"""The one door from the driver to what a worker runs.

The driver passes functions of this module to its workers and never loads what they load: the
parsers of files that come from outside.
"""

from lnscore.ingest.task import StudyResult, StudyTask


def read_study(task: StudyTask) -> StudyResult:
    """Read, check, measure and cut one study; runs in a worker (see `lnscore.ingest.study`)."""
    from lnscore.ingest import study

    return study.read_study(task)
