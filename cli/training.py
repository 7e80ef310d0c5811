"""`seisfm pretrain`, `seisfm finetune` and `seisfm adapt`: making a model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .outcome import Outcome, command, scalars, skipped_lines, skipped_numbers

Config = Annotated[str, typer.Argument(help="A YAML file, or the name of a shipped one.")]
Changes = Annotated[list[str] | None, typer.Argument(help="Settings to change, as key=value.")]


def add_to(app: typer.Typer) -> None:
    """Register this module's commands."""
    command(
        app, "pretrain", "seisfm pretrain pretrain/tiny.yaml output_dir=runs/encoder training.max_steps=200"
    )(pretrain)
    command(app, "finetune", "seisfm finetune finetune/tiny.yaml output_dir=runs/picker --method lora")(
        finetune
    )
    command(
        app,
        "adapt",
        "seisfm adapt --archive SDS --inventory stations.xml --catalog events.xml --model MODEL --out region",
    )(adapt)


def pretrain(config: Config, changes: Changes = None) -> Outcome:
    """Pretrain an encoder on waveforms without labels. Goes on from its newest checkpoint.

    On several processors: `accelerate launch -m seisfm.pretrain CONFIG` with the same settings.
    """
    from ..configs.loader import load_config
    from ..pretrain.run import PretrainConfig
    from ..pretrain.run import pretrain as run

    result = run(load_config(PretrainConfig, config, changes or ()))
    return Outcome(
        numbers={"output_dir": result.output_dir, **result.metrics},
        lines=(*scalars(result.metrics), f"wrote {result.output_dir}"),
    )


def finetune(
    config: Config,
    changes: Changes = None,
    method: Annotated[str | None, typer.Option(help="What learns: full, head, lora, dora or ia3.")] = None,
) -> Outcome:
    """Teach an encoder a task from labelled waveforms: all of it, its heads alone, or an adapter."""
    from ..configs.loader import load_config
    from ..finetune.run import FinetuneConfig
    from ..finetune.run import finetune as run

    overrides = [*(changes or ()), *([f"method.kind={method}"] if method else [])]
    result = run(load_config(FinetuneConfig, config, overrides))
    return Outcome(
        numbers={"output_dir": result.output_dir, **result.metrics},
        lines=(*scalars(result.metrics), f"wrote {result.output_dir}"),
    )


def adapt(
    archive: Annotated[Path, typer.Option(help="Your waveforms: an SDS archive or a folder of files.")],
    inventory: Annotated[Path, typer.Option(help="Your stations: StationXML or CSV.")],
    catalog: Annotated[Path, typer.Option(help="Your events with picks: QuakeML or CSV.")],
    model: Annotated[str, typer.Option(help="The model to start from: folder, hub id or bundled name.")],
    out: Annotated[Path, typer.Option(help="Folder for the adapter, the training set and the scores.")],
    changes: Changes = None,
) -> Outcome:
    """Adapt a model to a region from your own files, and compare it with the original on held-out events."""
    from ..configs.loader import build_config
    from ..finetune.adapt import AdaptConfig
    from ..finetune.adapt import adapt as run

    settings = {
        "archive": str(archive),
        "stations": str(inventory),
        "picks": str(catalog),
        "base": model,
        "output_dir": str(out),
    }
    result = run(build_config(AdaptConfig, settings, changes or (), source="the command line"))
    return Outcome(
        numbers={
            "output_dir": result.output_dir,
            **result.metrics,
            "skipped": skipped_numbers(result.skipped),
        },
        lines=(
            *skipped_lines(result.skipped),
            *scalars(result.metrics),
            result.comparison.round(3).to_string(index=False),
            f"wrote {result.output_dir}",
        ),
    )
