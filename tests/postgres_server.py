"""A PostgreSQL server of our own in a temporary folder, for the tests."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

UNPRIVILEGED = ("postgres", "nobody")
"""Accounts that a root's test run borrows: PostgreSQL refuses to run as root."""


def programs() -> Path | None:
    """Debian's folder of the newest PostgreSQL's programs; None where there is none."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    return found[-1].parent if found else None


@contextmanager
def running() -> Iterator[Path]:
    """Start a server on a Unix socket; gives the socket's folder."""
    # Not under pytest's folder: only its owner may enter that one.
    home = Path(tempfile.mkdtemp(prefix="lnscore-postgres-"))
    account = _account()
    if account is not None:
        os.chown(home, account.pw_uid, account.pw_gid)
    try:
        _run(account, "initdb", "--no-sync", "--auth=trust", "--username=lnscore", "-E", "UTF8",
             "--locale=C", "-D", home / "data")  # fmt: skip
        options = f"-c listen_addresses= -c unix_socket_directories={home} -c fsync=off"
        _run(account, "pg_ctl", "start", "-w", "-D", home / "data", "-l", home / "log",
             "-o", options)  # fmt: skip
        try:
            yield home
        finally:
            _run(account, "pg_ctl", "stop", "-w", "-m", "immediate", "-D", home / "data")
    finally:
        shutil.rmtree(home)


def _account() -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    known = {entry.pw_name: entry for entry in pwd.getpwall()}
    return next(known[name] for name in UNPRIVILEGED if name in known)


def _run(account: pwd.struct_passwd | None, program: str, *words: object) -> None:
    folder = programs()
    assert folder is not None
    as_whom = {} if account is None else {"user": account.pw_uid, "group": account.pw_gid}
    if account is not None:
        as_whom["extra_groups"] = []
    done = subprocess.run(
        [folder / program, *map(str, words)],
        cwd="/",
        # A pipe would stay open in the server: pg_ctl would seem never to end.
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=False,
        **as_whom,
    )
    if done.returncode:
        raise RuntimeError(f"{program} ended with {done.returncode}")
