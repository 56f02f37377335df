"""Find out whether a path is on a network file system.

SQLite's write-ahead log needs shared memory, which network file systems do not have.
"""

import sys
from pathlib import Path

MOUNTS = Path("/proc/mounts")
"""Linux's table of mounts; without this file no path is refused."""

NETWORK = frozenset(
    """
    nfs nfs4 cifs smb2 smb3 smbfs 9p afs ceph coda lustre gpfs beegfs glusterfs orangefs davfs
    fuse.sshfs fuse.glusterfs fuse.ceph fuse.davfs2 fuse.rclone fuse.s3fs fuse.gcsfuse
    fuse.smbnetfs fuse.nfs
    """.split()  # noqa: SIM905 - easier to read than a list with quotes
)


def network_type(path: Path) -> str | None:
    """Return the name of the network file system that `path` is on; None on a local disk.

    Args:
        path: Absolute path; it need not exist.
    """
    if sys.platform == "win32":
        return _windows_network(path)
    best, kind = Path("/"), ""
    resolved = path.resolve()
    for mount, type_ in _mounts():
        # If two mounts are on one folder, the later one hides the earlier one.
        if resolved.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    if kind == "9p" and best == Path("/"):
        return None  # root of a sandbox, used by one kernel only; not a network share
    return kind if kind in NETWORK else None


def _mounts() -> list[tuple[Path, str]]:
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [(Path(_unescaped(f[1])), f[2]) for f in fields if len(f) >= 3]


def _unescaped(name: str) -> str:
    """Replace the octal codes that stand for blanks and backslashes in a mount's name."""
    for code, character in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        name = name.replace(code, character)
    return name


def _windows_network(path: Path) -> str | None:
    if path.drive.startswith("\\\\"):
        return "a share"
    if sys.platform == "win32":
        import ctypes

        remote = 4  # DRIVE_REMOTE
        if ctypes.windll.kernel32.GetDriveTypeW(path.drive + "\\") == remote:
            return "a mapped drive"
    return None
