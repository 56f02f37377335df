"""Pseudonyms: keyed hashes of what names a patient. The plain values are never stored."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from lnscore.errors import Refusal


class Pseudonyms:
    """Turns identifiers into keys that only this site's secret can make again."""

    def __init__(self, secret: bytes) -> None:
        """Keep the secret in memory only."""
        self._secret = secret

    def _hmac(self, purpose: str, *parts: str) -> str:
        # The length before each part: ("ab", "c") and ("a", "bc") must differ.
        text = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
        return hmac.new(
            self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()

    def patient(self, issuer: str, patient_id: str) -> str:
        """Key of a patient: HMAC-SHA-256 of issuer and PatientID, hex."""
        return self._hmac("patient", issuer.strip(), patient_id.strip())

    def identity_check(self, birth_date: str | None) -> str | None:
        """Tells two people with one PatientID apart; None where no birth date was given."""
        return self._hmac("birth date", birth_date) if birth_date else None

    def accession(self, number: str | None) -> str | None:
        """Key of an accession number."""
        return self._hmac("accession", number.strip()) if number and number.strip() else None


def open_pseudonyms(path: Path, *, create: bool) -> Pseudonyms:
    """Read the site's secret, or make one for a new database.

    Args:
        path: The secret's file, 64 hex digits, mode 0600.
        create: Make it where it is missing; only right for a database without patients.

    Raises:
        Refusal: U02, the secret is missing or not one.
    """
    if not path.exists() and create:
        _create(path)
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError):
        secret = b""
    if len(secret) != 32:
        raise Refusal(
            "U02",
            f"no usable secret at {path}",
            "the 64 hex digits that made this database's pseudonyms",
            "Restore the file from the backup (LNSCORE_SECRET names another place); "
            "a new secret would turn known patients into strangers.",
        )
    return Pseudonyms(secret)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
