"""Pseudonyms: stable with the secret, nothing without it."""

import os
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lnscore.errors import Refusal
from lnscore.pseudonym import Pseudonyms, open_pseudonyms

KEYS = Pseudonyms(b"s" * 32)


def test_a_key_is_the_hmac_of_issuer_and_id():
    import hashlib
    import hmac

    expected = hmac.new(b"s" * 32, b"7:patient3:HOS3:K17", hashlib.sha256).hexdigest()
    assert KEYS.patient("HOS", "K17") == expected


@given(st.text(), st.text(), st.text(), st.text())
def test_two_patients_never_share_a_key(issuer, one, other_issuer, other):
    same = (issuer.strip(), one.strip()) == (other_issuer.strip(), other.strip())
    assert (KEYS.patient(issuer, one) == KEYS.patient(other_issuer, other)) == same


def test_another_secret_gives_another_key():
    assert KEYS.patient("", "K17") != Pseudonyms(b"t" * 32).patient("", "K17")


def test_padding_of_the_id_does_not_matter():
    assert KEYS.patient("", "K17 ") == KEYS.patient("", "K17")


def test_no_birth_date_gives_no_identity_check():
    assert KEYS.identity_check(None) is None
    assert KEYS.identity_check("19600102") != KEYS.identity_check("19600103")


def test_a_new_secret_is_random_and_private(tmp_path):
    first, second = tmp_path / "a.secret", tmp_path / "b.secret"
    keys = [open_pseudonyms(path, create=True).patient("", "K17") for path in (first, second)]
    assert keys[0] != keys[1]
    if os.name == "posix":
        assert stat.S_IMODE(first.stat().st_mode) == 0o600


def test_the_secret_is_read_back(tmp_path):
    made = open_pseudonyms(tmp_path / "s", create=True)
    read = open_pseudonyms(tmp_path / "s", create=False)
    assert made.patient("", "K17") == read.patient("", "K17")


@pytest.mark.parametrize("content", [None, "", "not hex", "ab12"])
def test_a_missing_or_damaged_secret_is_refused(tmp_path, content):
    if content is not None:
        (tmp_path / "s").write_text(content)
    with pytest.raises(Refusal, match="U02"):
        open_pseudonyms(tmp_path / "s", create=False)
