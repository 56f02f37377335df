"""What CUDA answers becomes our errors; its runtime is played by a few lines here."""

from enum import Enum
from types import SimpleNamespace

import pytest

from engines import cuda_driver, cuda_memory
from engines.cuda_driver import Driver
from engines.errors import EngineError
from engines.protocol import Availability


class Answer(Enum):
    cudaSuccess = 0
    cudaErrorMemoryAllocation = 2
    cudaErrorIllegalAddress = 700


def cuda(monkeypatch, answer: Answer) -> cuda_memory.Cuda:
    runtime = SimpleNamespace(cudaMalloc=lambda _: (answer, 4096))
    monkeypatch.setattr(cuda_memory.importlib, "import_module", lambda _: runtime)
    return cuda_memory.Cuda()


def test_memory_is_given_by_its_address(monkeypatch) -> None:
    assert cuda(monkeypatch, Answer.cudaSuccess).device(16) == 4096


def test_full_memory_says_what_to_do(monkeypatch) -> None:
    with pytest.raises(EngineError) as refusal:
        cuda(monkeypatch, Answer.cudaErrorMemoryAllocation).device(16)
    assert refusal.value.code == "E45"
    assert "cudaMalloc answers cudaErrorMemoryAllocation" in refusal.value.found
    assert "smaller --max-batch" in refusal.value.fix


def test_any_other_error_is_the_gpus(monkeypatch) -> None:
    with pytest.raises(EngineError, match=r"^E46: the GPU failed: cudaMalloc answers cudaErrorIll"):
        cuda(monkeypatch, Answer.cudaErrorIllegalAddress).device(16)


def test_without_a_library_there_is_no_driver(monkeypatch) -> None:
    monkeypatch.setattr(cuda_driver, "LIBRARY", "libno-such-driver.so")
    state = cuda_driver.probe()
    assert isinstance(state, Availability)
    assert (state.code, state.ok) == ("E40", False)
    assert state.reason == "no NVIDIA driver (libno-such-driver.so is not here)"


def library(**answers: int) -> SimpleNamespace:
    """A driver's library; what it is not told to answer succeeds."""
    calls = {
        "cuInit": lambda _: answers.get("init", 0),
        "cuDriverGetVersion": lambda p: setattr(p._obj, "value", 13010) or 0,
        "cuDeviceGet": lambda *_: answers.get("device", 0),
        "cuDeviceGetAttribute": lambda p, which, _: setattr(p._obj, "value", which - 67) or 0,
        "cuDeviceGetName": lambda name, *_: setattr(name, "value", b"A GPU") or 0,
    }
    return SimpleNamespace(**calls)


def test_a_driver_tells_version_and_gpu(monkeypatch) -> None:
    monkeypatch.setattr(cuda_driver.ctypes, "CDLL", lambda _: library())
    driver = cuda_driver.probe()
    assert driver == Driver((13, 1), "8.9", "A GPU")
    assert driver.version == "13.1"


@pytest.mark.parametrize(
    ("answers", "found"),
    [
        ({"init": 100}, "an NVIDIA driver that does not start (cuInit answers 100)"),
        ({"device": 101}, "an NVIDIA driver without a GPU"),
    ],
)
def test_a_driver_that_cannot_be_used_says_why(monkeypatch, answers, found: str) -> None:
    monkeypatch.setattr(cuda_driver.ctypes, "CDLL", lambda _: library(**answers))
    state = cuda_driver.probe()
    assert isinstance(state, Availability)
    assert (state.code, state.reason) == ("E40", found)
