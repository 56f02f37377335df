"""Which file system a path is on: SQLite's WAL needs shared memory, networks have none."""

import sys
from pathlib import Path

MOUNTS = Path("/proc/mounts")
"""Linux's table of mounts; where there is none, nothing is refused."""

NETWORK = frozenset(
    """
    nfs nfs4 cifs smb2 smb3 smbfs 9p afs ceph coda lustre gpfs beegfs glusterfs orangefs davfs
    fuse.sshfs fuse.glusterfs fuse.ceph fuse.davfs2 fuse.rclone fuse.s3fs fuse.gcsfuse
    fuse.smbnetfs fuse.nfs
    """.split()  # noqa: SIM905 - eighty quotes say no more
)


def network_type(path: Path) -> str | None:
    """Name of the network file system that `path` is on; None on a local disk.

    Args:
        path: Absolute; it need not exist.
    """
    if sys.platform == "win32":
        return _windows_network(path)
    best, kind = Path("/"), ""
    resolved = path.resolve()
    for mount, type_ in _mounts():
        # The later of two mounts on one folder hides the earlier.
        if resolved.is_relative_to(mount) and len(mount.parts) >= len(best.parts):
            best, kind = mount, type_
    if kind == "9p" and best == Path("/"):
        return None  # a sandbox's own root, seen by one kernel only; not a share
    return kind if kind in NETWORK else None


def _mounts() -> list[tuple[Path, str]]:
    try:
        lines = MOUNTS.read_text(errors="surrogateescape").splitlines()
    except OSError:
        return []
    fields = [line.split() for line in lines]
    return [(Path(_unescaped(f[1])), f[2]) for f in fields if len(f) >= 3]


def _unescaped(name: str) -> str:
    """Blanks in a mount's name are written in octal."""
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
