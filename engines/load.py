"""Choose a back end and load a bundle with it.

The engine's `reason` is one line that names the back end and says why it was chosen.
"""

import importlib
from typing import cast

from engines.back_ends import AUTO, BACKENDS, Precision
from engines.bundle import Bundle
from engines.errors import EngineError
from engines.protocol import Availability, Backend, Engine


def availability() -> dict[str, Availability]:
    """Check for each back end whether it can run here, best first."""
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
        name: Name of a back end, or `auto` for the best one that can run here. A back end that
            is given by name is never replaced by another.
        precision: Precision of the bundle's graph to load.
        threads: Number of CPU threads, for back ends that run on the CPU.

    Returns:
        The engine.

    Raises:
        EngineError: E02, E40 to E42 the back end cannot run here; E14 there is no such back end
            or precision; E31 to E38 and E47 there is no plan that it can run; E45 the GPU's
            memory is full.
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
    """Load the best back end that works here; its `reason` says why no better one was taken."""
    lacks: dict[str, str] = {}
    for name in BACKENDS:
        against = _against(name, bundle, precision, threads)
        if against is None:
            try:
                return _module(name).load(bundle, precision, threads, _why(lacks))
            except EngineError as error:
                if name == list(BACKENDS)[-1]:
                    raise  # this is the last back end
                against = f"{error.code}, {error.found}"
        lacks[name] = against
    raise EngineError(
        "E02",
        f"no back end can run here ({_listed(lacks)})",
        "one that can",
        "Install what is missing, or choose another back end.",
    )


def _against(name: str, bundle: Bundle, precision: Precision, threads: int | None) -> str | None:
    """Return why a back end is not even loaded; None if loading it should be tried."""
    state = _module(name).is_available()
    if not state:
        return state.reason
    if name == "openvino":
        from engines import quick_choice

        return quick_choice.against_openvino(bundle, precision, threads)
    return None


def _why(lacks: dict[str, str]) -> str:
    """Return the reason text; it lists the better back ends, if any, and why each was not taken."""
    return f"best that can run here ({_listed(lacks)})" if lacks else "best that can run here"


def _listed(lacks: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in lacks.items())


def _module(name: str) -> Backend:
    return cast(Backend, importlib.import_module(BACKENDS[name]))
