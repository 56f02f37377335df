import hashlib
import os
import signal
import stat
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from db.errors import DatabaseError
from db.patchstore import PatchStore

SHAPE = (3, 18, 80, 80)


@pytest.fixture
def store(tmp_path):
    return PatchStore(tmp_path / "store")


@pytest.fixture
def patches():
    return np.random.default_rng(1).integers(-1024, 3071, SHAPE, dtype=np.int16)


@pytest.fixture
def masks():
    return np.random.default_rng(2).integers(0, 256, SHAPE, dtype=np.uint8)


def files(store):
    return sorted(p for p in store.root.rglob("*") if p.is_file())


def test_what_was_written_is_read(store, patches, masks):
    sha256, masks_sha256 = store.write(patches, masks)
    np.testing.assert_array_equal(store.patches(sha256), patches)
    np.testing.assert_array_equal(store.masks(masks_sha256), masks)


@given(
    array=arrays.arrays(np.int16, st.tuples(*[st.integers(1, 3)] * 4)),
    axes=st.permutations(range(4)),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_layout_in_memory_is_read_back(store, array, axes):
    view = array.transpose(axes)[..., ::-1]
    sha256, _ = store.write(view, None)
    np.testing.assert_array_equal(store.patches(sha256), view)
    assert store.write(view.copy(), None) == (sha256, None)


def test_file_is_an_npy_named_by_its_hash(store, patches):
    sha256, _ = store.write(patches, None)
    (file,) = files(store)
    assert file == store.path(sha256)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256
    np.testing.assert_array_equal(np.load(file), patches)


def test_no_masks_are_no_file(store, patches):
    assert store.write(patches, None)[1] is None
    assert len(files(store)) == 1


def test_same_patches_again_touch_no_file(store, patches, masks):
    first = store.write(patches, masks)
    before = [(p, p.stat().st_mtime_ns, p.stat().st_ino) for p in files(store)]
    assert store.write(patches.copy(), masks.copy()) == first
    assert [(p, p.stat().st_mtime_ns, p.stat().st_ino) for p in files(store)] == before


def test_reading_maps_the_file_and_cannot_write(store, patches):
    array = store.patches(store.write(patches, None)[0])
    assert isinstance(array, np.memmap)
    with pytest.raises(ValueError, match=r"read-only"):
        array[0, 0, 0, 0] = 1


def test_threads_read_one_header_at_a_time(store, patches, monkeypatch):
    sha256, _ = store.write(patches, None)
    inside, most, load = [], [], np.load

    def watched(*args, **kwargs):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.01)
        try:
            return load(*args, **kwargs)
        finally:
            inside.pop()

    monkeypatch.setattr(np, "load", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(store.patches, [sha256] * 8))
    assert (len(most), max(most)) == (8, 1)


@pytest.mark.skipif(os.name != "posix", reason="POSIX file modes")
def test_files_are_the_owners_alone(store, patches):
    umask = os.umask(0)
    try:
        sha256, _ = store.write(patches, None)
    finally:
        os.umask(umask)
    assert stat.S_IMODE(store.path(sha256).stat().st_mode) == 0o600
    assert stat.S_IMODE(store.root.stat().st_mode) == 0o700


def test_shortened_file_is_written_anew(store, patches):
    sha256, _ = store.write(patches, None)
    os.truncate(store.path(sha256), 1000)
    assert store.write(patches, None)[0] == sha256
    store.verify(sha256)


KILLED = """if 1:
    import os, signal, sys
    from pathlib import Path
    import numpy as np
    from db import patchstore
    def killed(*_):
        os.kill(os.getpid(), signal.SIGKILL)
    patchstore.os.replace = killed
    patchstore.PatchStore(Path(sys.argv[1])).write(np.zeros((3, 18, 80, 80), np.int16), None)
"""


def test_killed_writer_leaves_no_file_of_that_name(store, monkeypatch):
    done = subprocess.run([sys.executable, "-c", KILLED, str(store.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    (unfinished,) = files(store)
    assert unfinished.parent.name == "unfinished"
    long_ago = unfinished.stat().st_mtime - 7200
    os.utime(unfinished, (long_ago, long_ago))
    sha256, _ = store.write(np.zeros(SHAPE, np.int16), None)
    assert files(store) == [store.path(sha256)]


def test_young_unfinished_file_is_left_alone(store, patches):
    (store.root / "unfinished").mkdir(parents=True)
    young = store.root / "unfinished" / "of-another-run"
    young.touch()
    store.write(patches, None)
    assert young.exists()


def test_missing_file_says_what_to_do(store):
    with pytest.raises(DatabaseError, match=r"^D16: the patch store has no .*; wanted the file"):
        store.patches("0" * 64)
    with pytest.raises(DatabaseError, match=r"^D16"):
        store.verify("0" * 64)


@pytest.mark.parametrize("size", [0, 50, 5000])
def test_truncated_file_is_damaged(store, patches, size):
    sha256, _ = store.write(patches, None)
    os.truncate(store.path(sha256), size)
    with pytest.raises(DatabaseError, match=r"^D17: the patch file .* cannot be read"):
        store.patches(sha256)


def test_pickle_is_not_loaded(store, patches):
    sha256, _ = store.write(patches, None)
    np.save(store.path(sha256), np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(DatabaseError, match=r"^D17: .* cannot be read"):
        store.patches(sha256)


def test_masks_are_not_patches(store, patches, masks):
    sha256, masks_sha256 = store.write(patches, masks)
    with pytest.raises(DatabaseError, match=r"^D17: .* holds uint8 of 4 axes"):
        store.patches(masks_sha256)
    with pytest.raises(DatabaseError, match=r"^D17: .* holds int16 of 4 axes"):
        store.masks(sha256)


def test_one_changed_bit_is_found(store, patches):
    sha256, _ = store.write(patches, None)
    store.verify(sha256)
    content = bytearray(store.path(sha256).read_bytes())
    content[-1] ^= 1
    store.path(sha256).write_bytes(content)
    with pytest.raises(DatabaseError, match=r"^D17: .* has SHA-256"):
        store.verify(sha256)


@pytest.mark.parametrize(
    ("array", "masks"),
    [
        (np.zeros(SHAPE, np.float32), None),
        (np.zeros(SHAPE[1:], np.int16), None),
        (np.zeros((0, 18, 80, 80), np.int16), None),
        (np.zeros(SHAPE, np.int16), np.zeros(SHAPE, bool)),
        (np.zeros(SHAPE, np.int16), np.zeros((2, 18, 80, 80), np.uint8)),
    ],
)
def test_other_type_or_shape_is_not_stored(store, array, masks):
    with pytest.raises(ValueError, match=r"wanted .* of shape"):
        store.write(array, masks)
    assert not store.root.exists()


def test_store_that_cannot_be_written_is_told(tmp_path, patches):
    (tmp_path / "store").touch()
    with pytest.raises(DatabaseError, match=r"^D15: the patch store .* cannot be written"):
        PatchStore(tmp_path / "store").write(patches, None)
