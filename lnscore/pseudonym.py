"""Pseudonyms: keyed hashes of the data that identify a patient. Plain values are never stored."""

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from lnscore.errors import Refusal


class Pseudonyms:
    """Computation of pseudonyms, which can be repeated only with the secret of this site."""

    def __init__(self, secret: bytes) -> None:
        """Keep the secret in memory only."""
        self._secret = secret

    def _hmac(self, purpose: str, *parts: str) -> str:
        # Each part follows its length, so that ("ab", "c") and ("a", "bc") give different keys.
        text = "".join(f"{len(part)}:{part}" for part in (purpose, *parts))
        return hmac.new(
            self._secret, text.encode("utf-8", "surrogatepass"), hashlib.sha256
        ).hexdigest()

    def patient(self, issuer: str, patient_id: str) -> str:
        """Return the key of a patient: HMAC-SHA-256 of issuer and PatientID, hex."""
        return self._hmac("patient", issuer.strip(), patient_id.strip())

    def identity_check(self, birth_date: str | None) -> str | None:
        """Return a key that separates two people with one PatientID; None without a birth date."""
        return self._hmac("birth date", birth_date) if birth_date else None

    def accession(self, number: str | None) -> str | None:
        """Return the key of an accession number; None if there is none."""
        return self._hmac("accession", number.strip()) if number and number.strip() else None


def open_pseudonyms(path: Path, *, create: bool) -> Pseudonyms:
    """Read the secret of the site, or create one for a new database.

    Args:
        path: File of the secret, 64 hex digits, mode 0600.
        create: Create the file if it is missing; allowed only for a database without patients.

    Raises:
        Refusal: U02, the secret is missing or damaged.
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
            "with a new secret, known patients would no longer be recognised.",
        )
    return Pseudonyms(secret)


def _create(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(secrets.token_hex(32) + "\n")
        file.flush()
        os.fsync(file.fileno())
