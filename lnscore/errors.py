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
    # --- masks and nodes (masks, seg, labelmaps, points, nodes, stations; rtstruct from M20) ---
    "M01": "the mask file cannot be read, or is not what it claims to be",
    "M02": "the mask has another frame of reference than the CT",
    "M03": "the mask refers to CT images that are not there: waiting",
    "M04": "the mask lies on another grid than the CT",
    "M05": "the label map holds values that are not whole labels",
    "M06": "the mask file holds too many segments or labels to be node masks",
    "M07": "the segmentation is of a kind that is not supported",
    "M08": "a frame of the segmentation lies on no slice of the CT, or on more than one",
    "M09": "the legend beside a label map cannot be used",
    "M10": "a region has no voxel inside the CT",
    "N01": "the node's mask has several components",
    "N02": "the node touches the border of the scan",
    "N03": "the node is smaller than a node that a CT can show",
    "N04": "the node is too big or too long for one node: several may be merged",
    "N05": "a part of the mask lies outside the scan and is cut off",
    "N06": "a station is named in a system that is not known",
    "N07": "several stations of one system are named",
    "N08": "the station is the nearest one within 5 mm, not one that the node lies in",
    "N09": "specks of the mask were dropped, or more components than can be nodes",
    # --- workers (workers) ---
    "W01": "a worker ran out of time on this study or file",
    "W02": "a worker process died on this study or file",
    "W03": "a worker ran out of memory on this study or file",
    "W04": "an unexpected error, stored with its traceback",
    # --- engines (E) ---
    "E01": "a file of the engine bundle is missing",
    "E02": "the back end or provider cannot run here",
    "E03": "a file of the engine bundle has other bytes than its manifest says",
    "E04": "the bundle's manifest or golden inputs cannot be read, or are of another version",
    "E05": "the engine bundle holds a file that can run code",
    "E06": "the engine was made for another patch specification",
    "E07": "the engine's ONNX graph is damaged, not whole, or has other inputs and outputs",
    "E08": "what was given to an engine are not HU patches",
    "E09": "the engine does not reproduce its golden outputs on this machine",
    "E10": "the golden outputs are too alike to show an error",
    "E11": "there is no engine of that name",
    "E12": "another engine of that name is already there",
    "E13": "the engine archive is refused: its paths, its size, or its SHA-256",
    "E14": "no such back end, provider or precision",
    "E15": "the engine gave something that is not a probability",
    # --- trainer (T) ---
    "T01": "the folder to write already exists",
    "T02": "torch's exporter gave no program",
    "T03": "the file of pretrained weights does not fit",
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
