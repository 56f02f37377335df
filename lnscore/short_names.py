"""Make short names of 12 hex digits for patients, studies and engines."""

import hashlib
import re

SHORT = 12  # hex digits: 48 bits, enough that no two patients of a hospital get the same name


def short(key: str) -> str:
    """Shorten a key to 12 hex digits that are safe as a folder name and reveal no identity."""
    if re.fullmatch(f"[0-9a-f]{{{SHORT},}}", key):
        return key[:SHORT]
    return hashlib.sha256(key.encode()).hexdigest()[:SHORT]


def folder_name(study_uid: str) -> str:
    """Return the name of a study in a report: 12 hex digits computed from its UID."""
    return hashlib.sha256(study_uid.encode()).hexdigest()[:SHORT]


def engine_key(*parts: str) -> str:
    """Hash weights, configuration, patch rules, back end and precision to 12 hex digits."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:SHORT]
