"""Where things are and how much they may use: options, then LNSCORE_* variables, then these."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from lnscore.errors import Refusal


class Settings(BaseSettings):
    """Every setting has a variable of the same name in capitals after LNSCORE_.

    Attributes:
        db: SQLite file, or a database URL.
        store: Folder of the patch files; beside a SQLite file by default.
        secret: File that keys the pseudonyms; beside a SQLite file by default.
        engines: Folder of imported engines.
        jobs: Worker processes of ingest.
        worker_memory_mb: Address space of one worker.
        timeout_s: Seconds for one study.
    """

    model_config = SettingsConfigDict(env_prefix="LNSCORE_", extra="ignore")

    db: str = "lnscore.db"
    store: Path | None = None
    secret: Path | None = None
    engines: Path | None = None
    jobs: int = Field(default=1, ge=1)
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
        """File of the pseudonyms' secret."""
        return self.secret or self._beside(".secret", "LNSCORE_SECRET")

    @property
    def engine_home(self) -> Path:
        """Folder of imported engines."""
        return self.engines or Path.home() / ".local" / "share" / "lnscore" / "engines"

    def _beside(self, suffix: str, variable: str) -> Path:
        name = self.db.removeprefix("sqlite:///")
        if "://" in name:
            raise Refusal(
                "U01",
                "a database URL and no folder for what lies beside the database",
                f"{variable} set to a path",
                f"Set {variable}.",
            )
        return Path(name + suffix)


def load(db: str | None = None, jobs: int | None = None) -> Settings:
    """Settings from the environment, with what the command line said on top.

    Raises:
        Refusal: U03, a variable's value does not fit.
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
    """Who runs this, for the audit log: the account's name."""
    import getpass

    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"
