"""What a zip archive that is no longer whole raises, by the way its files were packed."""

import lzma
import zipfile
import zlib

DAMAGED = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, EOFError)
"""Beside these, bzip2 raises an OSError without a number, and zipfile a RuntimeError where it wants
a password."""
