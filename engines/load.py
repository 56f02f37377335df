"""Choose a back end and load a bundle with it; what was chosen, and why, is on one line."""

import importlib
from typing import cast

from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Availability, Backend, Engine, Precision

BACKENDS = {
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
    provider: str = "cpu",
) -> Engine:
    """Load a bundle with a back end.

    Args:
        bundle: The bundle (see `engines.bundle.read`).
        name: A back end's name, or `auto` for the best that can run here. One asked for by
            name is never replaced by another.
        precision: Which of the bundle's graphs.
        threads: CPU threads, where the back end uses the CPU.
        provider: ONNX Runtime's provider; other back ends ignore it.

    Returns:
        The engine; its `reason` says which back end it is and why.

    Raises:
        EngineError: E02 it cannot run here, E14 no such back end or precision.
    """
    if name != AUTO and name not in BACKENDS:
        raise EngineError(
            "E14", f"back end '{name}'", f"one of {AUTO}, {', '.join(BACKENDS)}", "Choose one."
        )
    states = availability()
    usable = [known for known, state in states.items() if state]
    chosen = next(iter(usable), None) if name == AUTO else name
    if chosen not in usable:
        lacks = "; ".join(f"{k}: {s.reason}" for k, s in states.items() if name in (k, AUTO))
        raise EngineError(
            "E02",
            f"back end '{name}' cannot run here ({lacks})",
            f"a back end that can: {', '.join(usable) or 'none can'}",
            "Install what is missing, or choose another back end.",
        )
    why = "asked for" if name != AUTO else _why(chosen, states)
    return _module(chosen).load(bundle, precision, threads, provider, why)


def _why(chosen: str, states: dict[str, Availability]) -> str:
    """Name the better back ends that cannot run, or say that there is none better."""
    better = list(states)[: list(states).index(chosen)]
    lacks = "; ".join(f"{name}: {states[name].reason}" for name in better)
    return f"best that can run here ({lacks})" if lacks else "best that can run here"


def _module(name: str) -> Backend:
    return cast(Backend, importlib.import_module(BACKENDS[name]))
