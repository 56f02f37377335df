"""The worker task of the first pass of an ingest: read the headers of many files at a time."""

from dataclasses import dataclass, field

from lnscore.dicom.headers import FileHeader, read_header
from lnscore.dicom.sources import SourceFile
from lnscore.errors import Refusal

CHUNK_FILES = 48


@dataclass
class Headers:
    """Headers and refusals of a chunk of files.

    Attributes:
        headers: Headers of the DICOM files.
        refused: DICOM files that cannot be used, with the reason.
        other: Number of files that are not DICOM.
    """

    headers: list[FileHeader] = field(default_factory=list)
    refused: list[tuple[SourceFile, Refusal]] = field(default_factory=list)
    other: int = 0


def read_headers(chunk: tuple[SourceFile, ...]) -> Headers:
    """Read the headers of some files; a file that fails does not stop the others."""
    result = Headers()
    for source in chunk:
        try:
            header = read_header(source.path, source.shown)
        except Refusal as refusal:
            result.refused.append((source, refusal))
        except OSError as error:
            refusal = Refusal(
                "F11",
                f"a file that does not open ({error.strerror})",
                "a readable file",
                "Correct its permissions, or check the disk.",
            )
            result.refused.append((source, refusal))
        else:
            if header is None:
                result.other += 1
            else:
                result.headers.append(header)
    return result


def in_chunks(sources: list[SourceFile]) -> list[tuple[SourceFile, ...]]:
    """Divide the files into chunks of CHUNK_FILES, in the order in which they were found."""
    return [
        tuple(sources[start : start + CHUNK_FILES]) for start in range(0, len(sources), CHUNK_FILES)
    ]
