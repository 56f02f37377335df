"""Short names of patients, studies and engines: pseudonyms and folders that people can read."""

import hashlib
import re

SHORT = 12  # hex digits: 48 bits, no two patients of a hospital share them


def short(key: str) -> str:
    """A name that is safe as a folder's and says nothing: 12 hex digits."""
    if re.fullmatch(f"[0-9a-f]{{{SHORT},}}", key):
        return key[:SHORT]
    return hashlib.sha256(key.encode()).hexdigest()[:SHORT]


def folder_name(study_uid: str) -> str:
    """A study's name in a report: 12 hex digits made from its UID."""
    return hashlib.sha256(study_uid.encode()).hexdigest()[:SHORT]


def engine_key(*parts: str) -> str:
    """12 hex digits over weights, configuration, patch rules, back end and precision."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:SHORT]
