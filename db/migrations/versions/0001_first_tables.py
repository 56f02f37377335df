"""Every table of the first version, and the triggers that keep the audit log append-only."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

INTEGER = sa.Integer()
TEXT = sa.Text()
NUMBER = sa.Double().with_variant(sa.REAL(), "sqlite")

SQLITE_TRIGGERS = [
    f"""
    CREATE TRIGGER audit_log_no_{action.lower()} BEFORE {action} ON audit_log
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """
    for action in ("UPDATE", "DELETE")
] + [
    # INSERT OR REPLACE deletes the row in its way without firing a delete trigger.
    """
    CREATE TRIGGER audit_log_no_replace BEFORE INSERT ON audit_log
    WHEN EXISTS (
        SELECT 1 FROM audit_log
        WHERE id = NEW.id OR hash = NEW.hash OR prev_hash = NEW.prev_hash
    )
    BEGIN SELECT RAISE(ABORT, 'audit_log is append-only'); END
    """
]

POSTGRESQL_TRIGGERS = [
    """
    CREATE FUNCTION audit_log_refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'audit_log is append-only'; END $$
    """,
    """
    CREATE TRIGGER audit_log_no_change BEFORE UPDATE OR DELETE ON audit_log
    FOR EACH ROW EXECUTE FUNCTION audit_log_refuse()
    """,
    """
    CREATE TRIGGER audit_log_no_truncate BEFORE TRUNCATE ON audit_log
    FOR EACH STATEMENT EXECUTE FUNCTION audit_log_refuse()
    """,
]


def upgrade() -> None:
    op.create_table(
        "audit_log",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("actor", TEXT, nullable=False),
        sa.Column("action", TEXT, nullable=False),
        sa.Column("object", TEXT, nullable=False),
        sa.Column("details", TEXT, nullable=True),
        sa.Column("prev_hash", TEXT, nullable=False),
        sa.Column("hash", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_audit_log"),
        sa.UniqueConstraint("hash", name="uq_audit_log_hash"),
        sa.UniqueConstraint("prev_hash", name="uq_audit_log_prev_hash"),
        sqlite_strict=True,
    )
    op.create_table(
        "engine",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("weights_sha256", TEXT, nullable=False),
        sa.Column("config_hash", TEXT, nullable=False),
        sa.Column("spec_hash", TEXT, nullable=False),
        sa.Column("backend", TEXT, nullable=False),
        sa.Column("precision", TEXT, nullable=False),
        sa.Column("model_sha256", TEXT, nullable=False),
        sa.Column("trained", INTEGER, nullable=False),
        sa.Column("manifest", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("trained IN (0, 1)", name=op.f("ck_engine_trained_binary")),
        sa.PrimaryKeyConstraint("id", name="pk_engine"),
        sa.UniqueConstraint(
            "weights_sha256",
            "config_hash",
            "spec_hash",
            "backend",
            "precision",
            name="uq_engine_identity",
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_engine_name", "engine", ["name"], unique=False)
    op.create_table(
        "patch_file",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("masks_sha256", TEXT, nullable=True),
        sa.Column("node_count", INTEGER, nullable=False),
        sa.Column("spec_version", INTEGER, nullable=False),
        sa.Column("spec_hash", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("node_count > 0", name=op.f("ck_patch_file_node_count_positive")),
        sa.PrimaryKeyConstraint("id", name="pk_patch_file"),
        sa.UniqueConstraint("sha256", name="uq_patch_file_sha256"),
        sqlite_strict=True,
    )
    op.create_table(
        "pathology_report",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("patient_key", TEXT, nullable=False),
        sa.Column("report_id", TEXT, nullable=False),
        sa.Column("report_date", TEXT, nullable=False),
        sa.Column("surgery_date", TEXT, nullable=True),
        sa.Column("neoadjuvant", TEXT, nullable=False),
        sa.Column("source_sha256", TEXT, nullable=False),
        sa.Column("superseded_by_id", INTEGER, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint(
            "neoadjuvant IN ('none', 'chemo', 'chemoradio', 'unknown')",
            name=op.f("ck_pathology_report_neoadjuvant_known"),
        ),
        sa.ForeignKeyConstraint(
            ["superseded_by_id"],
            ["pathology_report.id"],
            name="fk_pathology_report_superseded_by_id_pathology_report",
        ),
        sa.PrimaryKeyConstraint("id", name="pk_pathology_report"),
        sa.UniqueConstraint(
            "patient_key",
            "report_id",
            "source_sha256",
            name="uq_pathology_report_patient_key_report_id_source_sha256",
        ),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_pathology_report_patient_key", "pathology_report", ["patient_key"], unique=False
    )
    op.create_table(
        "patient",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("pseudo_key", TEXT, nullable=False),
        sa.Column("sex", TEXT, nullable=False),
        sa.Column("birth_year", INTEGER, nullable=True),
        sa.Column("identity_check", TEXT, nullable=True),
        sa.CheckConstraint("sex IN ('F', 'M', 'O', '')", name=op.f("ck_patient_sex_known")),
        sa.PrimaryKeyConstraint("id", name="pk_patient"),
        sa.UniqueConstraint("pseudo_key", name="uq_patient_pseudo_key"),
        sqlite_strict=True,
    )
    op.create_table(
        "quarantine",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("scope", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("found", TEXT, nullable=False),
        sa.Column("wanted", TEXT, nullable=False),
        sa.Column("fix", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("study_uid", TEXT, nullable=True),
        sa.Column("series_uid", TEXT, nullable=True),
        sa.Column("detail", TEXT, nullable=True),
        sa.Column("first_seen", TEXT, nullable=False),
        sa.Column("last_seen", TEXT, nullable=False),
        sa.Column("tries", INTEGER, nullable=False),
        sa.Column("resolved_at", TEXT, nullable=True),
        sa.CheckConstraint(
            "scope IN ('file', 'archive', 'series', 'mask', 'study')",
            name=op.f("ck_quarantine_scope_known"),
        ),
        sa.CheckConstraint("tries >= 1", name=op.f("ck_quarantine_tries_from_1")),
        sa.PrimaryKeyConstraint("id", name="pk_quarantine"),
        sa.UniqueConstraint("sha256", "code", name="uq_quarantine_sha256_code"),
        sqlite_strict=True,
    )
    op.create_table(
        "station",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("system", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=False),
        sa.Column("meaning", TEXT, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_station"),
        sa.UniqueConstraint("system", "version", "code", name="uq_station_system_version_code"),
        sqlite_strict=True,
    )
    op.create_table(
        "finding",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("report_id", INTEGER, nullable=False),
        sa.Column("n_examined", INTEGER, nullable=True),
        sa.Column("n_positive", INTEGER, nullable=True),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("source_row", INTEGER, nullable=False),
        sa.Column("source_column", TEXT, nullable=False),
        sa.CheckConstraint(
            "status IN ('positive', 'negative', 'not_sampled', 'indeterminate')",
            name=op.f("ck_finding_status_known"),
        ),
        sa.CheckConstraint(
            "n_examined >= 0 AND n_positive BETWEEN 0 AND n_examined",
            name=op.f("ck_finding_counts_ordered"),
        ),
        sa.ForeignKeyConstraint(
            ["report_id"], ["pathology_report.id"], name="fk_finding_report_id_pathology_report"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_finding"),
        sa.UniqueConstraint(
            "report_id",
            "source_row",
            "source_column",
            name="uq_finding_report_id_source_row_source_column",
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_finding_report_id", "finding", ["report_id"], unique=False)
    op.create_table(
        "run",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("kind", TEXT, nullable=False),
        sa.Column("argv", TEXT, nullable=False),
        sa.Column("version", TEXT, nullable=False),
        sa.Column("host", TEXT, nullable=False),
        sa.Column("started_at", TEXT, nullable=False),
        sa.Column("finished_at", TEXT, nullable=True),
        sa.Column("exit_code", INTEGER, nullable=True),
        sa.Column("engine_id", INTEGER, nullable=True),
        sa.Column("engine_reason", TEXT, nullable=True),
        sa.Column("summary", TEXT, nullable=True),
        sa.ForeignKeyConstraint(["engine_id"], ["engine.id"], name="fk_run_engine_id_engine"),
        sa.PrimaryKeyConstraint("id", name="pk_run"),
        sqlite_strict=True,
    )
    op.create_table(
        "station_alias",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("station_id", INTEGER, nullable=False),
        sa.Column("alias", TEXT, nullable=False),
        sa.ForeignKeyConstraint(
            ["station_id"], ["station.id"], name="fk_station_alias_station_id_station"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_station_alias"),
        sa.UniqueConstraint("station_id", "alias", name="uq_station_alias_station_id_alias"),
        sqlite_strict=True,
    )
    op.create_table(
        "station_crosswalk",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("name", TEXT, nullable=False),
        sa.Column("from_station_id", INTEGER, nullable=False),
        sa.Column("to_station_id", INTEGER, nullable=False),
        sa.Column("relation", TEXT, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.CheckConstraint(
            "relation IN ('equal', 'narrower', 'broader', 'overlaps')",
            name=op.f("ck_station_crosswalk_relation_known"),
        ),
        sa.ForeignKeyConstraint(
            ["from_station_id"], ["station.id"], name="fk_station_crosswalk_from_station_id_station"
        ),
        sa.ForeignKeyConstraint(
            ["to_station_id"], ["station.id"], name="fk_station_crosswalk_to_station_id_station"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_station_crosswalk"),
        sa.UniqueConstraint(
            "name",
            "from_station_id",
            "to_station_id",
            name="uq_station_crosswalk_name_from_station_id_to_station_id",
        ),
        sqlite_strict=True,
    )
    op.create_table(
        "study",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("patient_id", INTEGER, nullable=False),
        sa.Column("study_uid", TEXT, nullable=False),
        sa.Column("study_date", TEXT, nullable=True),
        sa.Column("accession_hmac", TEXT, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["patient_id"], ["patient.id"], name="fk_study_patient_id_patient"),
        sa.PrimaryKeyConstraint("id", name="pk_study"),
        sa.UniqueConstraint("study_uid", name="uq_study_study_uid"),
        sqlite_strict=True,
    )
    op.create_index("ix_study_patient_id", "study", ["patient_id"], unique=False)
    op.create_table(
        "finding_station",
        sa.Column("finding_id", INTEGER, nullable=False),
        sa.Column("station_id", INTEGER, nullable=False),
        sa.ForeignKeyConstraint(
            ["finding_id"], ["finding.id"], name="fk_finding_station_finding_id_finding"
        ),
        sa.ForeignKeyConstraint(
            ["station_id"], ["station.id"], name="fk_finding_station_station_id_station"
        ),
        sa.PrimaryKeyConstraint("finding_id", "station_id", name="pk_finding_station"),
        sqlite_strict=True,
    )
    op.create_table(
        "series",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("study_id", INTEGER, nullable=False),
        sa.Column("series_uid", TEXT, nullable=False),
        sa.Column("revision", INTEGER, nullable=False),
        sa.Column("status", TEXT, nullable=False),
        sa.Column("code", TEXT, nullable=True),
        sa.Column("reason", TEXT, nullable=True),
        sa.Column("for_uid", TEXT, nullable=True),
        sa.Column("geometry", TEXT, nullable=True),
        sa.Column("facts", TEXT, nullable=True),
        sa.Column("content_sha256", TEXT, nullable=False),
        sa.Column("patch_file_id", INTEGER, nullable=True),
        sa.Column("run_id", INTEGER, nullable=True),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint(
            "status IN ('waiting', 'ready', 'scored', 'quarantined', 'superseded')",
            name=op.f("ck_series_status_known"),
        ),
        sa.CheckConstraint("revision >= 1", name=op.f("ck_series_revision_from_1")),
        sa.ForeignKeyConstraint(
            ["patch_file_id"], ["patch_file.id"], name="fk_series_patch_file_id_patch_file"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_series_run_id_run"),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name="fk_series_study_id_study"),
        sa.PrimaryKeyConstraint("id", name="pk_series"),
        sa.UniqueConstraint("series_uid", "revision", name="uq_series_series_uid_revision"),
        sqlite_strict=True,
    )
    op.create_index(
        "ix_series_one_current",
        "series",
        ["series_uid"],
        unique=True,
        sqlite_where=sa.text("status != 'superseded'"),
        postgresql_where=sa.text("status != 'superseded'"),
    )
    op.create_index("ix_series_patch_file_id", "series", ["patch_file_id"], unique=False)
    op.create_index("ix_series_status", "series", ["status"], unique=False)
    op.create_index("ix_series_study_id", "series", ["study_id"], unique=False)
    op.create_table(
        "annotation",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("series_id", INTEGER, nullable=False),
        sa.Column("format", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.Column("uid", TEXT, nullable=True),
        sa.Column("for_uid", TEXT, nullable=True),
        sa.Column("details", TEXT, nullable=True),
        sa.CheckConstraint(
            "format IN ('SEG', 'RTSTRUCT', 'NIFTI', 'NRRD', 'POINTS', 'PHANTOM')",
            name=op.f("ck_annotation_format_known"),
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_annotation_series_id_series"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_annotation"),
        sa.UniqueConstraint("series_id", "sha256", name="uq_annotation_series_id_sha256"),
        sqlite_strict=True,
    )
    op.create_table(
        "instance",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("series_id", INTEGER, nullable=False),
        sa.Column("sop_uid", TEXT, nullable=False),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("path", TEXT, nullable=False),
        sa.ForeignKeyConstraint(["series_id"], ["series.id"], name="fk_instance_series_id_series"),
        sa.PrimaryKeyConstraint("id", name="pk_instance"),
        sa.UniqueConstraint("series_id", "sop_uid", name="uq_instance_series_id_sop_uid"),
        sqlite_strict=True,
    )
    op.create_index("ix_instance_sha256", "instance", ["sha256"], unique=False)
    op.create_table(
        "lymph_node",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("series_id", INTEGER, nullable=False),
        sa.Column("annotation_id", INTEGER, nullable=False),
        sa.Column("tracking_uid", TEXT, nullable=False),
        sa.Column("label", TEXT, nullable=False),
        sa.Column("centroid_x_mm", NUMBER, nullable=False),
        sa.Column("centroid_y_mm", NUMBER, nullable=False),
        sa.Column("centroid_z_mm", NUMBER, nullable=False),
        sa.Column("bbox_vox", TEXT, nullable=True),
        sa.Column("volume_mm3", NUMBER, nullable=True),
        sa.Column("short_axis_mm", NUMBER, nullable=True),
        sa.Column("long_axis_mm", NUMBER, nullable=True),
        sa.Column("station_id", INTEGER, nullable=True),
        sa.Column("station_source", TEXT, nullable=False),
        sa.Column("station_candidates", TEXT, nullable=True),
        sa.Column("mask_sha256", TEXT, nullable=True),
        sa.Column("warnings", TEXT, nullable=True),
        sa.Column("patch_index", INTEGER, nullable=False),
        sa.Column("patch_sha256", TEXT, nullable=False),
        sa.Column("patch_affine", TEXT, nullable=False),
        sa.Column("padded_fraction", NUMBER, nullable=False),
        sa.CheckConstraint(
            "station_source IN ('explicit', 'overlap', 'nearest', 'unassigned')",
            name=op.f("ck_lymph_node_station_source_known"),
        ),
        sa.CheckConstraint(
            "(short_axis_mm IS NULL) = (long_axis_mm IS NULL)",
            name=op.f("ck_lymph_node_axes_together"),
        ),
        sa.CheckConstraint(
            "padded_fraction BETWEEN 0 AND 1", name=op.f("ck_lymph_node_padded_fraction_range")
        ),
        sa.CheckConstraint("patch_index >= 0", name=op.f("ck_lymph_node_patch_index_from_0")),
        sa.CheckConstraint(
            "short_axis_mm BETWEEN 0 AND long_axis_mm", name=op.f("ck_lymph_node_axes_ordered")
        ),
        sa.CheckConstraint("volume_mm3 > 0", name=op.f("ck_lymph_node_volume_positive")),
        sa.ForeignKeyConstraint(
            ["annotation_id"], ["annotation.id"], name="fk_lymph_node_annotation_id_annotation"
        ),
        sa.ForeignKeyConstraint(
            ["series_id"], ["series.id"], name="fk_lymph_node_series_id_series"
        ),
        sa.ForeignKeyConstraint(
            ["station_id"], ["station.id"], name="fk_lymph_node_station_id_station"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_lymph_node"),
        sa.UniqueConstraint("series_id", "patch_index", name="uq_lymph_node_series_id_patch_index"),
        sa.UniqueConstraint(
            "series_id", "tracking_uid", name="uq_lymph_node_series_id_tracking_uid"
        ),
        sqlite_strict=True,
    )
    op.create_index("ix_lymph_node_annotation_id", "lymph_node", ["annotation_id"], unique=False)
    op.create_index("ix_lymph_node_station_id", "lymph_node", ["station_id"], unique=False)
    op.create_index("ix_lymph_node_tracking_uid", "lymph_node", ["tracking_uid"], unique=False)
    op.create_table(
        "label",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("lymph_node_id", INTEGER, nullable=False),
        sa.Column("reader", TEXT, nullable=False),
        sa.Column("value", INTEGER, nullable=False),
        sa.Column("source", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint("value IN (0, 1)", name=op.f("ck_label_value_binary")),
        sa.ForeignKeyConstraint(
            ["lymph_node_id"], ["lymph_node.id"], name="fk_label_lymph_node_id_lymph_node"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_label"),
        sa.UniqueConstraint("lymph_node_id", "reader", name="uq_label_lymph_node_id_reader"),
        sqlite_strict=True,
    )
    op.create_table(
        "score",
        sa.Column("id", INTEGER, nullable=False),
        sa.Column("lymph_node_id", INTEGER, nullable=False),
        sa.Column("engine_id", INTEGER, nullable=False),
        sa.Column("run_id", INTEGER, nullable=False),
        sa.Column("probability", NUMBER, nullable=False),
        sa.Column("local_probability", NUMBER, nullable=True),
        sa.Column("global_probability", NUMBER, nullable=True),
        sa.Column("calibrated_probability", NUMBER, nullable=True),
        sa.Column("calls", TEXT, nullable=False),
        sa.Column("patch_sha256", TEXT, nullable=False),
        sa.Column("created_at", TEXT, nullable=False),
        sa.CheckConstraint(
            "calibrated_probability BETWEEN 0 AND 1", name=op.f("ck_score_calibrated_range")
        ),
        sa.CheckConstraint(
            "global_probability BETWEEN 0 AND 1", name=op.f("ck_score_global_range")
        ),
        sa.CheckConstraint("local_probability BETWEEN 0 AND 1", name=op.f("ck_score_local_range")),
        sa.CheckConstraint("probability BETWEEN 0 AND 1", name=op.f("ck_score_probability_range")),
        sa.ForeignKeyConstraint(["engine_id"], ["engine.id"], name="fk_score_engine_id_engine"),
        sa.ForeignKeyConstraint(
            ["lymph_node_id"], ["lymph_node.id"], name="fk_score_lymph_node_id_lymph_node"
        ),
        sa.ForeignKeyConstraint(["run_id"], ["run.id"], name="fk_score_run_id_run"),
        sa.PrimaryKeyConstraint("id", name="pk_score"),
        sa.UniqueConstraint("lymph_node_id", "engine_id", name="uq_score_lymph_node_id_engine_id"),
        sqlite_strict=True,
    )
    op.create_index("ix_score_engine_id", "score", ["engine_id"], unique=False)
    op.create_index("ix_score_run_id", "score", ["run_id"], unique=False)

    on_sqlite = op.get_bind().dialect.name == "sqlite"
    for trigger in SQLITE_TRIGGERS if on_sqlite else POSTGRESQL_TRIGGERS:
        op.execute(trigger)
