"""What NVIDIA's driver says of this machine, asked of its own library and of nothing else.

Without a driver, loading a plan may end the process instead of raising: so the driver is
asked first, and by name.
"""

import ctypes
import sys
from dataclasses import dataclass

from engines.foreign import Native
from engines.protocol import Availability

LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
MAJOR, MINOR = 75, 76
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and _MINOR."""


@dataclass(frozen=True)
class Driver:
    """A driver and the first GPU that it offers.

    Attributes:
        cuda: The CUDA version that it speaks, as (13, 0): every branch of the driver has
            its own.
        gpu: Compute capability of the GPU, as "8.9".
        name: The GPU's name.
    """

    cuda: tuple[int, int]
    gpu: str
    name: str

    @property
    def version(self) -> str:
        """The CUDA version as text."""
        return ".".join(map(str, self.cuda))


def probe() -> Driver | Availability:
    """The driver, or why there is none: E40."""
    try:
        library = ctypes.CDLL(LIBRARY)
    except OSError:
        return _none(f"no NVIDIA driver ({LIBRARY} is not here)")
    if code := library.cuInit(0):
        return _none(f"an NVIDIA driver that does not start (cuInit answers {code})")
    version, device = ctypes.c_int(), ctypes.c_int()
    code = library.cuDriverGetVersion(ctypes.byref(version))
    if code or library.cuDeviceGet(ctypes.byref(device), 0):
        return _none("an NVIDIA driver without a GPU")
    major, minor = (_attribute(library, which, device) for which in (MAJOR, MINOR))
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), device)
    cuda = version.value // 1000, version.value % 1000 // 10
    return Driver(cuda, f"{major}.{minor}", name.value.decode(errors="replace"))


def _attribute(library: Native, which: int, device: ctypes.c_int) -> int:
    value = ctypes.c_int()
    library.cuDeviceGetAttribute(ctypes.byref(value), which, device)
    return value.value


def _none(found: str) -> Availability:
    return Availability(
        False, found, "E40", "Install NVIDIA's driver, or use a back end for the CPU."
    )
