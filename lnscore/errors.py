"""Every refusal of lnscore: its code, its meaning; `docs/errors.md` lists the same.

A refusal names the code, what was found, what was wanted and what to do. `db` and `engines`
raise their own exceptions of the same four parts; their codes are listed here too.
"""

EXIT_DONE = 0
EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SOME_REFUSED = 3
EXIT_ENGINE = 4
EXIT_LOCKED = 5

LOCKED = "D10"
"""The code of a database that another run holds."""

CODES: dict[str, str] = {
    # --- files and archives (sources, dicom) ---
    # --- series and grouping (dicom) ---
    # --- geometry (volume) ---
    # --- masks and nodes (masks, rtstruct, labelmaps, points, nodes) ---
    # --- workers (workers) ---
    "W01": "a worker ran out of time on this study or file",
    "W02": "a worker process died on this study or file",
    "W03": "a worker ran out of memory on this study or file",
    "W04": "an unexpected error, stored with its traceback",
    # --- engines (E) ---
    # --- database (D) ---
    # --- usage and settings (U) ---
    "U01": "a database URL needs LNSCORE_STORE and LNSCORE_SECRET to be set",
    "U02": "the secret that keys the pseudonyms is missing or damaged",
    "U03": "a setting's value does not fit",
}


class Refusal(Exception):
    """Something that lnscore will not use: a study, a series, a file, a mask."""

    def __init__(self, code: str, found: str, wanted: str, fix: str) -> None:
        """Keep the four parts; `args` holds them all, so that a worker can send it."""
        super().__init__(code, found, wanted, fix)
        self.code, self.found, self.wanted, self.fix = code, found, wanted, fix

    def __str__(self) -> str:
        """Return the sentence: code, found; wanted. What to do."""
        return f"{self.code}: {self.found}; wanted {self.wanted}. {self.fix}"
