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
    # --- files and archives (sources, headers, pixels) ---
    "F01": "the file is DICOM but cannot be parsed",
    "F02": "the file is larger than any CT file",
    "F03": "the file is deflated, which can hide gigabytes in kilobytes",
    "F04": "the CT file has no pixels",
    "F05": "the frames of a multi-frame file are not described",
    "F06": "the PatientID has several values or is far too long",
    "F07": "the pixels are coded in a way that no CT uses",
    "F08": "the pixels cannot be decoded",
    "F09": "the pixels are cut short",
    "F10": "a path that was given is not there",
    "F11": "the file cannot be opened",
    "F13": "the file lacks a study, series or instance UID",
    "F14": "the archive has a name that leads out, a link or a password",
    "F15": "the archive unpacks to more than it may hold",
    "F16": "the archive is damaged or holds another archive",
    "F17": "the DICOMDIR cannot be read",
    # --- series and grouping (series, study) ---
    "S01": "two different images have one SOPInstanceUID",
    "S02": "one series has several frames of reference",
    "S03": "several slices lie at one place and nothing tells them apart",
    "S04": "there is no usable rescale to Hounsfield units",
    "S05": "the values are not Hounsfield units",
    "S06": "the rescale slope is 0",
    "S07": "localizer images in the series were left out",
    "S08": "the series held several acquisitions, which were told apart",
    "S09": "identical copies of slices were left out",
    "S10": "the study has no PatientID",
    "S11": "the files of one study name different patients",
    "S12": "the CT has no node masks yet",
    "S13": "a study date or birth date is not a date",
    "S14": "it is not clear which CT series the file belongs to",
    "S15": "two masks give the same tracking UID; the newer one is used",
    "S16": "values without a rescale tag were taken as Hounsfield units, as asked",
    "S17": "the CT that the mask was drawn on is not among the files",
    # --- geometry (volume) ---
    "G01": "a slice lacks position, orientation or pixel spacing",
    "G02": "a slice has another number of rows or columns",
    "G03": "slices are missing",
    "G04": "the slices are unevenly spaced",
    "G05": "a slice has another pixel spacing",
    "G06": "the orientation is not two unit vectors at right angles",
    "G07": "the gantry was tilted; every slice is sampled at its own shift",
    "G08": "missing slices were interpolated",
    "G09": "the scan has fewer slices than a patch is deep",
    "G10": "the scan is a single slice",
    "G11": "the slices do not lie on one line",
    "G12": "slices thicker than 5.5 mm were interpolated",
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
    "M42": "nothing says which CT a structure set or an ROI belongs to",
    "M43": "an ROI number names no ROI, or more than one",
    "M44": "the ROI has no contours",
    "M45": "contour data are not finite x y z triplets",
    "M46": "the ROI has too many contours or points to be a node",
    "M47": "contours that enclose nothing (open, fewer than 3 points, no area) are left out",
    "M48": "a contour does not lie in the plane of the CT's slices",
    "M49": "a contour or point lies outside the CT",
    "M50": "the ROI encloses no pixel centre of the CT",
    "M51": "the ROI is of a type that is no lymph node, such as EXTERNAL",
    "M52": "a contour lies between two slices and was put on the nearest",
    "M53": "a contour names an image that is not where the contour lies; its place was used",
    "M54": "contours on every second slice or fewer; the slices between were interpolated",
    "M55": "slices without a contour between others; they stay empty",
    "M56": "contours finer than the CT; of those that fall on one slice the nearest was used",
    "M57": "contours of one slice cross (their overlap is left out) or repeat (used once)",
    "M58": "a contour reaches beyond the CT's matrix and was cut",
    "M59": "contours have another number of points than they state",
    "N01": "the node's mask has several components",
    "N02": "the node touches the border of the scan",
    "N03": "the node is smaller than a node that a CT can show",
    "N04": "the node is too big or too long for one node: several may be merged",
    "N05": "a part of the mask lies outside the scan and is cut off",
    "N06": "a station is named in a system that is not known",
    "N07": "several stations of one system are named",
    "N08": "the station is the nearest one within 5 mm, not one that the node lies in",
    "N09": "specks of the mask were dropped, or more components than can be nodes",
    "N10": "a station code is not in its system",
    "N11": "there is no system or crosswalk of stations of that name",
    "K01": "the points file is damaged, or a row of it is",
    "K02": "the coordinate system of points is not stated, or stated twice differently",
    "K03": "a point lies outside the scan",
    "K04": "the station map has labels that its legend does not name",
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
    "E16": "a stored patch is not the one that was cut",
    "E17": "several engines are trained and none was named",
    "E18": "a stored patch was cut by other rules than the engine's",
    # --- trainer (T) ---
    "T01": "the folder to write already exists",
    "T02": "torch's exporter gave no program",
    "T03": "the file of pretrained weights does not fit",
    "T40": "nodes without an outline, which the network needs",
    "T41": "no network has that name",
    "T42": "streams or scales without 2.5D",
    "T43": "pretrained weights that no library gives",
    "T44": "the network does not become a bundle",
    # --- database (D) ---
    "D01": "there is no study database, or no folder for it, where one was named",
    "D02": "the file or the server's database belongs to another program, or is not SQLite",
    "D03": "the database was written by a newer lnscore",
    "D04": "the database cannot be written: read-only, or the disk is full",
    "D05": "the SQLite file is on a network file system",
    "D06": "the name, URL, driver or SQLite version of the database cannot be used",
    "D07": "the PostgreSQL server does not answer, or refuses this user",
    "D08": "the database is damaged",
    "D09": "another program holds the database for longer than ten seconds",
    "D10": "another run holds the lock",
    "D11": "the audit log's chain is broken",
    "D12": "a patient number is known with another birth date",
    "D13": "a study is known under another patient",
    "D14": "a series is known in another study",
    "D15": "the patch store cannot be written",
    "D16": "a patch file is missing",
    "D17": "a patch file is damaged",
    "D18": "a reader labelled a node otherwise before",
    "D19": "a consensus of labels is asked for by no known rule or reader",
    "D20": "a split of that name divides the patients otherwise",
    # --- pathology (P) ---
    "P01": "the station system of a finding is missing, not known or not decided",
    "P02": "the system has no such station",
    "P03": "more nodes are positive than were examined",
    "P04": "the status contradicts the counts",
    "P05": "no node was examined: the station is not sampled, which is not negative",
    "P06": "stations that were sent as one specimen are positive: which of them is not known",
    "P07": "the database has no such patient",
    "P08": "a report conflicts with an earlier one; the newest counts, the old is kept",
    "P09": "the CT is older than the limit before the surgery; left out of training",
    "P10": "the CT is after the surgery, or therapy was between; left out of training",
    "P11": "a count was not a plain whole number, or is none",
    "P12": "one report says something of one station twice",
    "P13": "the station has two sides and none is said",
    "P14": "the table or file of pathology cannot be read",
    "P15": "a mapped column is not in the table, or a mandatory field is empty",
    "P16": "a date is none, was completed, or its day and month are not told apart",
    "P17": "a column of the table is not used",
    "P18": "the mapping file cannot be used",
    "P19": "the workbook has several sheets and none was named",
    "P20": "the key file cannot be used, or an id is not in it",
    "P21": "the HL7 message or FHIR bundle cannot be used",
    "P22": "a word for the status or the therapy is not known",
    "P23": "a cell is too long or holds characters that nobody sees",
    "P24": "rows of one report disagree on its dates or on the therapy",
    "P25": "nodes were examined and the positive ones are not given: indeterminate",
    "P26": "a report's number holds the patient's id and is stored as a keyed hash",
    "P27": "a finding is left out, as the mapping file says",
    # --- readers' labels (L) ---
    "L01": "no node lies near a reader's point",
    "L02": "a label fits several nodes, or a reader labels one node twice",
    "L03": "the database has no node, series or study of that UID",
    "L04": "a label is neither malignant nor benign",
    "L05": "coordinates or their system are not stated, or fit no single scan",
    "L06": "the file of labels cannot be used",
    "L08": "no reader is named, or by a name that cannot be told from another",
    # --- report (R) ---
    "R01": "the database has no study of that UID",
    "R02": "a file of the report cannot be written",
    "R03": "a study cannot be shown: what the database holds of it does not fit together",
    # --- usage and settings (U) ---
    "U01": "a database URL needs LNSCORE_STORE and LNSCORE_SECRET to be set",
    "U02": "the secret that keys the pseudonyms is missing or damaged",
    "U03": "a setting's value does not fit",
    "U04": "the database has no such study",
    # --- phantom (H) ---
    "H01": "the phantom's folder is not empty",
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
