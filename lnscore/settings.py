"""Settings of lnscore: paths and limits.

An option of the command line comes first, then a variable LNSCORE_*, then the default here.
"""

from pathlib import Path

import platformdirs
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lnscore.command_options import DEFAULT_DB, DEFAULT_JOBS
from lnscore.errors import Refusal


class Settings(BaseSettings):
    """Settings; the variable of each is LNSCORE_ followed by its name in capitals.

    Attributes:
        db: SQLite file or database URL.
        store: Folder of the patch files; by default beside the SQLite file.
        secret: File with the secret key of the pseudonyms; by default beside the SQLite file.
        engines: Folder of imported engines.
        jobs: Number of worker processes of ingest.
        worker_memory_mb: Address space of one worker in MB.
        timeout_s: Longest time for one study in seconds.
    """

    model_config = SettingsConfigDict(env_prefix="LNSCORE_", extra="ignore")

    db: str = DEFAULT_DB
    store: Path | None = None
    secret: Path | None = None
    engines: Path | None = None
    jobs: int = Field(default=DEFAULT_JOBS, ge=1)
    worker_memory_mb: int = Field(default=4096, ge=512)
    timeout_s: float = Field(default=300.0, gt=0)

    @property
    def store_root(self) -> Path:
        """Folder of the patch store."""
        return self.store or self._beside(".patches", "LNSCORE_STORE")

    @property
    def unpack_root(self) -> Path:
        """Folder that archives are unpacked in while they are ingested."""
        return self.store_root.with_name(self.store_root.name + ".unpacked")

    @property
    def secret_path(self) -> Path:
        """File with the secret key of the pseudonyms."""
        return self.secret or self._beside(".secret", "LNSCORE_SECRET")

    @property
    def engine_home(self) -> Path:
        """Folder of imported engines."""
        return self.engines or platformdirs.user_data_path("lnscore", appauthor=False) / "engines"

    def _beside(self, suffix: str, variable: str) -> Path:
        name = self.db.removeprefix("sqlite:///")
        if "://" in name:
            raise Refusal(
                "U01",
                "a database URL, and no path for the files that belong to the database",
                f"{variable} set to a path",
                f"Set {variable}.",
            )
        return Path(name + suffix)


def load(db: str | None = None, jobs: int | None = None) -> Settings:
    """Load the settings from the environment; values from the command line override them.

    Raises:
        Refusal: U03, the value of a variable is not valid.
    """
    from pydantic import ValidationError

    given = {"db": db, "jobs": jobs}
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore[reportArgumentType]
    except ValidationError as error:
        first = error.errors()[0]
        name = "LNSCORE_" + "_".join(str(part) for part in first["loc"]).upper()
        raise Refusal(
            "U03", f"{name}={first['input']!r}", first["msg"], "Correct the setting."
        ) from error


def actor() -> str:
    """Return the name of the account that runs the program, for the audit log."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
