"""Folds of patients: a patient is in one part of a fold, and tests in one fold only."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"

ONE_TEST = sa.text("part = 'test'")


def upgrade() -> None:
    op.create_table(
        "split",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_split"),
        sa.UniqueConstraint("name", name="uq_split_name"),
        sqlite_strict=True,
    )
    op.create_table(
        "split_member",
        sa.Column("split_id", sa.Integer(), nullable=False),
        sa.Column("fold", sa.Integer(), nullable=False),
        sa.Column("patient_id", sa.Integer(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.CheckConstraint(
            "part IN ('train', 'validation', 'test', 'unlabelled')",
            name=op.f("ck_split_member_part_known"),
        ),
        sa.CheckConstraint("fold >= 0", name=op.f("ck_split_member_fold_from_0")),
        sa.ForeignKeyConstraint(["split_id"], ["split.id"], name="fk_split_member_split_id_split"),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["patient.id"], name="fk_split_member_patient_id_patient"
        ),
        sa.PrimaryKeyConstraint("split_id", "fold", "patient_id", name="pk_split_member"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_split_member_tests_once",
        "split_member",
        ["split_id", "patient_id"],
        unique=True,
        sqlite_where=ONE_TEST,
        postgresql_where=ONE_TEST,
    )
