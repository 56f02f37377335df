"""Names of stages, profiles, networks and methods, for help texts: loads no torch."""

from typing import Literal, get_args

Profile = Literal["paper", "default", "scratch"]
Method = Literal["pgls", "mean-teacher", "pi", "temporal-ensembling", "simmatch", "supervised"]
Precision = Literal["auto", "fp32", "bf16"]
Role = Literal["student", "teacher"]

STAGES = ("pretrain", "supervised", "ssl")
PROFILES: tuple[Profile, ...] = get_args(Profile)
METHODS: tuple[Method, ...] = get_args(Method)
PRECISIONS: tuple[Precision, ...] = get_args(Precision)
ROLES: tuple[Role, ...] = get_args(Role)
NETWORKS = (
    "two-stream",
    "two-stream-large",
    "two-stream-small",
    "2.5d",
    "2.5d+ts",
    "2.5d+ms",
    "resnet18-2.5d",
    "mobilenetv3-2.5d",
    "mobilevitv2-2.5d",
    "mobilevitv2-2.5d-128px",
    "resnet18-3d",
    "mobilenetv3-3d",
    "mobilevitv2-3d",
    "dualnet-3d",
)
"""Keys of `trainer.networks.registry.NETWORKS`, in its order."""
TABLES = ("table1", "networks", "table2", "fig2", "gamma", "truth")
"""Keys of `trainer.reproduction.rows.TABLES`, in its order."""
