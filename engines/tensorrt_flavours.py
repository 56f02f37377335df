"""TensorRT and TensorRT-RTX: their differences, and what is installed on this machine.

The two libraries have the same programming interface under two names.
"""

import importlib.util
import re
from dataclasses import dataclass

from engines import cuda_driver
from engines.back_ends import Precision
from engines.cuda_driver import Driver
from engines.errors import EngineError
from engines.plan_key import NONE, PlanKey
from engines.protocol import Availability, installed, too_old


@dataclass(frozen=True, kw_only=True)
class Flavour:
    """Description of one of the two libraries.

    Attributes:
        backend: Name of the back end.
        module: Name of its Python module.
        extra: Name of the extra of lnscore that installs it.
        requires: Oldest supported version, by package.
        distributions: Names of the packages that may contain it.
        gpus: Compute capabilities that it has kernels for; None for all from 7.5.
        builds_anywhere: True if it can build plans on a machine without a driver.
    """

    backend: str
    module: str
    extra: str
    requires: dict[str, str]
    distributions: tuple[str, ...]
    gpus: frozenset[str] | None
    builds_anywhere: bool

    @property
    def version(self) -> str | None:
        """The installed version, or None."""
        if importlib.util.find_spec(self.module) is None:
            return None
        return installed(self.distributions)


CUDA_PYTHON = ("cuda-bindings", "cuda-python")

TENSORRT = Flavour(
    backend="tensorrt",
    module="tensorrt",
    extra="tensorrt",
    requires={"tensorrt-cu13": "10.13", "cuda-python": "12.6"},
    distributions=("tensorrt", "tensorrt-cu13", "tensorrt_cu13_bindings"),
    gpus=None,
    builds_anywhere=False,
)
RTX = Flavour(
    backend="tensorrt-rtx",
    module="tensorrt_rtx",
    extra="rtx",
    requires={"tensorrt-rtx": "1.1", "cuda-python": "12.6"},
    distributions=("tensorrt-rtx", "tensorrt_rtx_cu13"),
    gpus=frozenset({"7.5", "8.0", "8.6", "8.9", "12.0", "12.1"}),
    builds_anywhere=True,
)
FLAVOURS = {flavour.backend: flavour for flavour in (TENSORRT, RTX)}


def can_build(flavour: Flavour) -> Availability:
    """Check whether plans can be built here."""
    version = flavour.version
    if version is None:
        return _not_installed(flavour, flavour.module)
    if old := _too_old(flavour):
        return Availability(False, old)
    if not flavour.builds_anywhere:
        return can_run(flavour)
    return Availability(True, f"{flavour.backend} {version}")


def can_run(flavour: Flavour) -> Availability:
    """Check whether plans can run here: library, CUDA for Python, driver and GPU."""
    if flavour.version is None:
        return _not_installed(flavour, flavour.module)
    if _cuda_python() is None:
        return _not_installed(flavour, "cuda-python")
    if old := _too_old(flavour):
        return Availability(False, old)
    driver = cuda_driver.probe()
    if isinstance(driver, Availability):
        return driver
    wanted = cuda_major(flavour)
    if driver.cuda[0] < wanted:
        return Availability(
            False,
            f"a driver of CUDA {driver.version}, and {flavour.backend} needs CUDA {wanted}",
            "E41",
            "Update NVIDIA's driver, or use another back end.",
        )
    if flavour.gpus is not None and driver.gpu not in flavour.gpus:
        found = f"{flavour.backend} has no kernels for {driver.name} ({driver.gpu})"
        return Availability(False, found, "E42", "Use the other TensorRT back end, or onnx-cuda.")
    found = f"{flavour.backend} {flavour.version} on {driver.name} ({driver.gpu})"
    return Availability(True, found)


def cuda_major(flavour: Flavour) -> int:
    """Return the major CUDA version that the installed libraries need from the driver."""
    names = [name for name in flavour.distributions if installed((name,))]
    found = [int(match[1]) for name in names if (match := re.search(r"cu(\d+)", name))]
    return max([int((_cuda_python() or "12").split(".")[0]), *found])


def key_here(flavour: Flavour, precision: Precision, max_batch: int, onnx_sha256: str) -> PlanKey:
    """Return the key of a plan that is built, or shall run, on this machine.

    Raises:
        EngineError: E02 the library is not installed.
    """
    version = flavour.version
    if version is None:
        raise refusal(flavour.backend, _not_installed(flavour, flavour.module))
    driver = cuda_driver.probe()
    cuda, gpu = (driver.version, driver.gpu) if isinstance(driver, Driver) else (NONE, NONE)
    return PlanKey(
        backend=flavour.backend,
        version=version,
        driver=cuda,
        gpu=gpu,
        precision=precision,
        max_batch=max_batch,
        onnx_sha256=onnx_sha256,
    )


def refusal(backend: str, state: Availability) -> EngineError:
    """Make the error for a back end that cannot be used here."""
    found = f"back end '{backend}' cannot be used here ({state.reason})"
    return EngineError(state.code, found, "all that it needs", state.fix)


def _too_old(flavour: Flavour) -> str:
    library = next(name for name in flavour.requires if name != "cuda-python")
    return too_old(flavour.requires, {library: flavour.distributions, "cuda-python": CUDA_PYTHON})


def _cuda_python() -> str | None:
    if importlib.util.find_spec("cuda") is None:
        return None
    return installed(CUDA_PYTHON)


def _not_installed(flavour: Flavour, what: str) -> Availability:
    return Availability(
        False,
        f"{what} is not installed",
        "E02",
        f"Install lnscore[{flavour.extra}], or choose another back end.",
    )
