"""A zip archive that opens, and whose only file does not."""

import random
import zipfile
from pathlib import Path


def damaged(path: Path, how: int) -> Path:
    """Pack a file by `how`, and spoil what was packed."""
    with zipfile.ZipFile(path, "w", how) as archive:
        archive.writestr("a.dcm", bytes(random.Random(0).choices(range(60), k=20_000)))
    data = bytearray(path.read_bytes())
    data[60:200] = b"\xff" * 140
    path.write_bytes(data)
    return path
