"""A report's content has a hash: the same file read by a corrected mapping is a new version."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

OLD = "uq_pathology_report_patient_key_report_id_source_sha256"

# SQLite copies the table; its checks are not read back from the file, so they stand here.
BEFORE = sa.Table(
    "pathology_report",
    sa.MetaData(),
    sa.Column("id", sa.Integer(), nullable=False),
    sa.Column("patient_key", sa.Text(), nullable=False),
    sa.Column("report_id", sa.Text(), nullable=False),
    sa.Column("report_date", sa.Text(), nullable=False),
    sa.Column("surgery_date", sa.Text(), nullable=True),
    sa.Column("neoadjuvant", sa.Text(), nullable=False),
    sa.Column("source_sha256", sa.Text(), nullable=False),
    sa.Column("superseded_by_id", sa.Integer(), nullable=True),
    sa.Column("created_at", sa.Text(), nullable=False),
    sa.CheckConstraint(
        "neoadjuvant IN ('none', 'chemo', 'chemoradio', 'unknown')",
        name="ck_pathology_report_neoadjuvant_known",
    ),
    sa.ForeignKeyConstraint(
        ["superseded_by_id"],
        ["pathology_report.id"],
        name="fk_pathology_report_superseded_by_id_pathology_report",
    ),
    sa.PrimaryKeyConstraint("id", name="pk_pathology_report"),
    sa.UniqueConstraint("patient_key", "report_id", "source_sha256", name=OLD),
    sa.Index("ix_pathology_report_patient_key", "patient_key"),
    sqlite_strict=True,
)


def upgrade() -> None:
    with op.batch_alter_table("pathology_report", copy_from=BEFORE) as batch:
        batch.add_column(sa.Column("content_sha256", sa.Text(), nullable=True))
        batch.drop_constraint(OLD, type_="unique")
        batch.create_unique_constraint(
            "uq_pathology_report_version",
            ["patient_key", "report_id", "source_sha256", "content_sha256"],
        )
