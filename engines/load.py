"""Choose a back end and load a bundle with it; what was chosen, and why, is on one line."""

import importlib
from typing import cast

from engines.bundle import Bundle
from engines.errors import EngineError
from engines.manifest import Precision
from engines.protocol import Availability, Backend, Engine

BACKENDS = {
    "tensorrt": "engines.tensorrt_engine",
    "tensorrt-rtx": "engines.tensorrt_rtx_engine",
    "onnx-cuda": "engines.onnx_cuda_engine",
    "openvino": "engines.openvino_engine",
    "onnx": "engines.onnx_engine",
}
"""Name to module, best first: `auto` takes the first that can run."""

AUTO = "auto"


def availability() -> dict[str, Availability]:
    """Whether each back end can run here, best first."""
    return {name: _module(name).is_available() for name in BACKENDS}


def load(
    bundle: Bundle,
    name: str = AUTO,
    precision: Precision = "fp32",
    threads: int | None = None,
) -> Engine:
    """Load a bundle with a back end.

    Args:
        bundle: The bundle (see `engines.bundle.read`).
        name: A back end's name, or `auto` for the best that can run here. One asked for by
            name is never replaced by another.
        precision: Which of the bundle's graphs.
        threads: CPU threads, where the back end uses the CPU.

    Returns:
        The engine; its `reason` says which back end it is and why.

    Raises:
        EngineError: E02, E40 to E42 it cannot run here, E14 no such back end or precision,
            E31 to E38 and E47 no plan that it can run, E45 the GPU's memory is full.
    """
    if name != AUTO and name not in BACKENDS:
        raise EngineError(
            "E14", f"back end '{name}'", f"one of {AUTO}, {', '.join(BACKENDS)}", "Choose one."
        )
    if name == AUTO:
        return _best(bundle, precision, threads)
    state = _module(name).is_available()
    if not state:
        usable = ", ".join(known for known, there in availability().items() if there)
        raise EngineError(
            state.code,
            f"back end '{name}' cannot run here ({name}: {state.reason})",
            f"a back end that can: {usable or 'none can'}",
            state.fix,
        )
    return _module(name).load(bundle, precision, threads, "asked for")


def _best(bundle: Bundle, precision: Precision, threads: int | None) -> Engine:
    """The first back end that can run here; why no better one is taken goes into its reason."""
    lacks: dict[str, str] = {}
    for name in BACKENDS:
        against = _against(name, bundle, precision, threads)
        if against is None:
            try:
                return _module(name).load(bundle, precision, threads, _why(lacks))
            except EngineError as error:
                if name == list(BACKENDS)[-1]:
                    raise  # nothing is left to choose
                against = f"{error.code}, {error.found}"
        lacks[name] = against
    raise EngineError(
        "E02",
        f"no back end can run here ({_listed(lacks)})",
        "one that can",
        "Install what is missing, or choose another back end.",
    )


def _against(name: str, bundle: Bundle, precision: Precision, threads: int | None) -> str | None:
    """Why a back end is not taken before it is loaded; None where nothing is known."""
    state = _module(name).is_available()
    if not state:
        return state.reason
    if name == "openvino":
        from engines import quick_choice

        return quick_choice.against_openvino(bundle, precision, threads)
    return None


def _why(lacks: dict[str, str]) -> str:
    """Name the better back ends and what speaks against each, or say that there is none."""
    return f"best that can run here ({_listed(lacks)})" if lacks else "best that can run here"


def _listed(lacks: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in lacks.items())


def _module(name: str) -> Backend:
    return cast(Backend, importlib.import_module(BACKENDS[name]))
