"""Commands of the trainer. What they need of it is imported inside them: a scoring box has none."""

from pathlib import Path
from typing import Annotated

import typer

from lnscore.cli.options import AsJson, Db

app = typer.Typer()
train_app = typer.Typer()
app.add_typer(train_app, name="train")


@train_app.callback(invoke_without_command=True)
def train(
    context: typer.Context,
    stage: Annotated[
        str, typer.Option("--stage", help="pretrain (no labels), supervised, or ssl.")
    ] = "supervised",
    network: Annotated[
        str | None,
        typer.Option("--network", help="A name of docs/networks.md [default: two-stream]."),
    ] = None,
    knobs: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", help="A knob of the network (ssl: of the stage)."
        ),
    ] = None,
    profile: Annotated[
        str, typer.Option("--profile", help="paper, default or scratch.")
    ] = "default",
    name: Annotated[
        str | None, typer.Option("--name", help="Of the run [default: STAGE-NETWORK].")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of all runs.")] = Path("runs"),
    reader: Annotated[
        str | None, typer.Option("--reader", help="Whose labels [default: radiologist].")
    ] = None,
    fold: Annotated[
        list[int] | None, typer.Option("--fold", min=0, help="Only this fold, repeatable.")
    ] = None,
    split_seed: Annotated[
        int | None,
        typer.Option("--split-seed", min=0, help="Of the division of patients [default: 0]."),
    ] = None,
    labelled_share: Annotated[
        float | None,
        typer.Option(
            "--labelled-share",
            help="Of each fold's training patients; the others sit out [default: 1].",
        ),
    ] = None,
    pretrained: Annotated[
        str | None,
        typer.Option(
            "--pretrained",
            help="none, torchvision:WEIGHTS, timm:NAME, or a safetensors file [default: none].",
        ),
    ] = None,
    sha256: Annotated[str, typer.Option("--sha256", help="Of the safetensors file.")] = "",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with a run.")] = False,
    device: Annotated[str, typer.Option("--device", help="auto, cpu or cuda.")] = "auto",
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, help="Instead of the profile's.")
    ] = None,
    batch: Annotated[int | None, typer.Option("--batch", min=2, help="Nodes of a step.")] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Peak, instead of the profile's.")
    ] = None,
    precision: Annotated[
        str | None, typer.Option("--precision", help="auto, fp32 or bf16.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0)] = None,
    method: Annotated[
        str | None,
        typer.Option("--method", help="Of ssl: pgls, mean-teacher, simmatch [default: pgls]."),
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Of ssl: the supervised run.")
    ] = None,
    no_engine: Annotated[
        bool, typer.Option("--no-engine", help="Make no engine of the finished run.")
    ] = False,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Train an engine on the database's nodes: pretraining, supervised, semi-supervised."""
    if context.invoked_subcommand:
        _refuse_options(context)
        return
    from lnscore import console, settings
    from lnscore.train import job
    from lnscore.train.options import USUAL, TrainOptions

    decided = {
        "network": network,
        "reader": reader,
        "split_seed": split_seed,
        "labelled_share": labelled_share,
        "pretrained": pretrained,
    }
    given = {option: value for option, value in decided.items() if value is not None}
    settled = {**USUAL, **given}
    kind = (method or "pgls") if stage == "ssl" else settled["network"]
    options = TrainOptions(
        **settled,
        given=frozenset(given),
        stage=stage,
        knobs=tuple(knobs or ()),
        profile=profile,
        name=name or f"{stage}-{kind}",
        out=out,
        folds=tuple(fold or ()),
        sha256=sha256,
        resume=resume,
        device=device,
        epochs=epochs,
        batch=batch,
        learning_rate=learning_rate,
        precision=precision,
        seed=seed,
        engine=not no_engine,
        method=method,
        source=source,
    )
    console.finish(job.run(options, settings.load(db)), as_json=as_json)


@train_app.command("ledger")
def ledger(
    run: Annotated[Path, typer.Argument(help="Folder of a run with --method pgls.")],
    truth: Annotated[
        str, typer.Option("--truth", help="Reader who knows the nodes; used where there is one.")
    ] = "phantom-truth",
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for the table and pictures.")
    ] = None,
    db: Db = None,
    as_json: AsJson = False,
) -> None:
    """Say which unlabelled nodes a run gave pseudo-labels, and how often they were right."""
    from lnscore import console, settings
    from lnscore.train import ledger as job

    summary = job.run(run, truth, out, settings.load(db))
    if not as_json:
        summary.show()
    console.finish(summary, as_json=as_json)


@app.command("eval")
def evaluate(
    runs: Annotated[
        list[Path], typer.Argument(help="Folders of runs; the first is tested against the others.")
    ],
    out: Annotated[
        Path | None, typer.Option("--out", help="Folder for tables and pictures.")
    ] = None,
    draws: Annotated[
        int, typer.Option("--draws", min=100, help="Bootstrap draws of patients.")
    ] = 2000,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on where folds are missing.")
    ] = False,
    last: Annotated[
        bool, typer.Option("--last", help="The last epoch, not the one that validation selected.")
    ] = False,
    network: Annotated[
        str | None,
        typer.Option("--network", help="student or teacher of ssl runs [default: the reported]."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how well trained networks tell malignant nodes, beside the short axis."""
    from lnscore import console
    from lnscore.train import evaluate as job

    summary = job.run(runs, out, draws, partial=partial, last=last, network=network, quiet=as_json)
    console.finish(summary, as_json=as_json)


@app.command()
def reproduce(
    table: Annotated[
        str, typer.Argument(help="table1, networks, table2, fig2, gamma, truth (is it true?).")
    ],
    recipe: Annotated[
        Path | None, typer.Option("--recipe", help="YAML: sizes, seeds, values of the stages.")
    ] = None,
    profile: Annotated[
        str | None, typer.Option("--profile", help="paper, default or scratch [default: paper].")
    ] = None,
    seeds: Annotated[
        str, typer.Option("--seeds", metavar="N,N", help="Instead of the recipe's.")
    ] = "",
    folds: Annotated[
        int | None, typer.Option("--folds", min=1, help="The first so many of four.")
    ] = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", metavar="ROW", help="Train this row, repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option("--out", help="Folder of runs and tables.")] = Path(
        "reproduction"
    ),
    workers: Annotated[int, typer.Option("--workers", min=1, help="Runs at once, by Dask.")] = 1,
    cluster: Annotated[
        str | None, typer.Option("--cluster", metavar="ADDRESS", help="Of a Dask scheduler.")
    ] = None,
    plan: Annotated[bool, typer.Option("--plan", help="List the runs, train none.")] = False,
    draws: Annotated[
        int, typer.Option("--draws", min=100, help="Bootstrap draws of patients.")
    ] = 2000,
    db: Annotated[
        str | None,
        typer.Option("--db", "--cohort", metavar="FILE|URL", help="Study database."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a table of the paper: train what is missing, evaluate what there is."""
    from lnscore import console, settings
    from lnscore.train import reproduce as job

    options = job.ReproduceOptions(
        table=table,
        recipe=recipe,
        profile=profile,
        seeds=_numbers(seeds),
        folds=folds,
        only=tuple(only or ()),
        out=out,
        workers=workers,
        cluster=cluster,
        plan_only=plan,
        draws=draws,
    )
    console.finish(job.run(options, settings.load(db), quiet=as_json), as_json=as_json)


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(one) for one in text.split(",") if one.strip())
    except ValueError as error:
        raise typer.BadParameter(f"--seeds {text}: give whole numbers, as 0,1,2") from error


def _refuse_options(context: typer.Context) -> None:
    """Those of a training do nothing before the name of another command."""
    given = [
        option.opts[0]
        for option in context.command.params
        if getattr(context.get_parameter_source(option.name or ""), "name", "") == "COMMANDLINE"
    ]
    if given:
        raise typer.BadParameter(
            f"{', '.join(given)} before {context.invoked_subcommand}: its own stand behind it"
        )
