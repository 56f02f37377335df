"""Ask NVIDIA's driver for its CUDA version and the GPU, through the driver's own library.

Without a driver, loading a plan may end the process instead of raising an error. Therefore the
driver is checked first, by loading its library directly.
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
    """An installed driver and its first GPU.

    Attributes:
        cuda: CUDA version that the driver supports, for example (13, 0); it differs between
            driver branches.
        gpu: Compute capability of the GPU, for example "8.9".
        name: Name of the GPU.
    """

    cuda: tuple[int, int]
    gpu: str
    name: str

    @property
    def version(self) -> str:
        """The CUDA version as text, for example "13.0"."""
        return ".".join(map(str, self.cuda))


def probe() -> Driver | Availability:
    """Return the driver, or an `Availability` with code E40 if there is no usable driver."""
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
