import pytest

from db import filesystems
from db.errors import DatabaseError
from db.location import locate


def test_name_is_a_sqlite_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("a.db").path == tmp_path / "a.db"


def test_sqlite_url_is_the_same_file(tmp_path):
    assert locate(f"sqlite:///{tmp_path}/a.db") == locate(f"{tmp_path}/a.db")


@pytest.mark.parametrize("name", [":memory:", "a?mode=ro", "50%.db", "ein Fall#1.db"])
def test_odd_name_is_a_file_of_that_name(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate(name).path == tmp_path / name


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_server_url_gets_our_driver(scheme):
    assert locate(f"{scheme}://me@host/studies").url.drivername == "postgresql+psycopg"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("postgresql://me:s3cret@host/x", "postgresql://me:***@host/x"),
        ("postgresql://host/x?password=s3cret", "postgresql://host/x?password=%2A%2A%2A"),
        ("postgresql://host/x?sslpassword=s3cret", "postgresql://host/x?sslpassword=%2A%2A%2A"),
    ],
)
def test_password_is_not_shown(given, shown):
    assert locate(given).shown == shown
    assert "s3cret" in locate(given).url.render_as_string(hide_password=False)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("mysql://me:s3cret@host/x", "a database URL that begins with mysql://"),
        ("sqlite://host/x", "a database URL that begins with sqlite://"),
        ("postgresql://me:s3cret@host:s3cret/x", "a PostgreSQL URL that cannot be read"),
        ("", "no file name"),
    ],
)
def test_other_location_is_refused_without_its_password(given, found):
    with pytest.raises(DatabaseError) as told:
        locate(given)
    assert (told.value.code, told.value.found) == ("D06", found)
    assert "s3cret" not in str(told.value)
    assert told.value.__cause__ is None


@pytest.fixture
def mounted(tmp_path, monkeypatch):
    """Writes the table of mounts."""

    def write(*lines):
        table = tmp_path / "mounts"
        table.write_text("".join(f"{line} rw 0 0\n" for line in lines))
        monkeypatch.setattr(filesystems, "MOUNTS", table)

    return write


@pytest.mark.parametrize("kind", ["nfs", "nfs4", "cifs", "smb3", "9p", "fuse.sshfs"])
def test_share_is_a_network(mounted, tmp_path, kind):
    mounted("/dev/sda1 / ext4", f"server:/export {tmp_path} {kind}")
    assert filesystems.network_type(tmp_path / "deep" / "x.db") == kind


@pytest.mark.parametrize("kind", ["ext4", "xfs", "btrfs", "overlay", "tmpfs", "fuseblk", "zfs"])
def test_disk_is_no_network(mounted, tmp_path, kind):
    mounted("server:/export / nfs", f"/dev/sda1 {tmp_path} {kind}")
    assert filesystems.network_type(tmp_path / "x.db") is None


def test_neighbour_with_the_same_beginning_does_not_count(mounted, tmp_path):
    mounted("/dev/sda1 / ext4", f"server:/export {tmp_path}/data nfs")
    assert filesystems.network_type(tmp_path / "database" / "x.db") is None


def test_later_mount_hides_the_earlier(mounted, tmp_path):
    mounted(f"server:/export {tmp_path} nfs", f"/dev/sda1 {tmp_path} ext4")
    assert filesystems.network_type(tmp_path / "x.db") is None


def test_link_to_a_share_is_a_network(mounted, tmp_path):
    (tmp_path / "share").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "share")
    mounted("/dev/sda1 / ext4", f"server:/export {tmp_path}/share nfs")
    assert filesystems.network_type(tmp_path / "link" / "x.db") == "nfs"


def test_blank_in_the_name_of_a_mount_is_understood(mounted, tmp_path):
    mounted(rf"server:/export {tmp_path}/my\040share nfs")
    assert filesystems.network_type(tmp_path / "my share" / "x.db") == "nfs"


def test_root_of_a_sandbox_is_no_share(mounted):
    mounted("none / 9p")
    assert filesystems.network_type(filesystems.Path("/x.db")) is None


def test_nothing_is_refused_where_there_is_no_table(monkeypatch, tmp_path):
    monkeypatch.setattr(filesystems, "MOUNTS", tmp_path / "none")
    assert filesystems.network_type(tmp_path / "x.db") is None
