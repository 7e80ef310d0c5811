"""Train pickers on synthetic earthquakes, leave out one ingredient after the other, score all on real ones.

    python examples/transfer_study.py study/transfer.yaml
    python examples/transfer_study.py study/transfer.yaml output_dir=runs/mine --arms full "no disturbances"
    python examples/transfer_study.py study/transfer.yaml --model runs/picker     # score a model that exists

Needs SEISFM_DATA (see docs/studies/transfer.md). Stopped runs go on where they were; arms that are trained
are not trained again, those that are scored not scored again. Writes a folder an arm, `scores.csv`,
`noise.csv`, `scores.png`.
"""

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd
import yaml
from matplotlib.figure import Figure
from seisfm.configs.loader import CONFIG_FOLDER, as_plain, build_config
from seisfm.data.continuous.archive import Archive
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.records import Skipped
from seisfm.data.synthesis import SynthesisConfig
from seisfm.data.synthesis.network_noise import NetworkNoiseConfig, cut_network_noise
from seisfm.eval.baselines import StaLtaPicker, WindowPicker
from seisfm.eval.figures import PHASE_COLORS, add_legend, new_figure
from seisfm.eval.model_picker import ModelPicker
from seisfm.eval.pal import PalPicker
from seisfm.eval.report import write_atomically
from seisfm.eval.transfer import TransferConfig, TransferData, load_transfer_data, score_transfer
from seisfm.finetune.run import FinetuneConfig, finetune
from seisfm.heads.task_model import load_model
from seisfm.study.arguments import study_arguments

FIXED = {"P": 0.3, "S": 0.3}
"""A second operating point, at which published pickers are mostly told."""

OWN_STATION = "pfo"
"""Noise of the station at which false picks are counted: the train side of the protocol's."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training of the study.

    name: in tables, and of its folder. windows: how many it learns from. synthesis: changes of every
    synthetic source, such as `waves.branches=false`. overrides: changes of the run; both as on a command
    line. real_noise: mix real noise into the windows, and let some windows be noise alone: `pfo`, of the
    station at which false picks are counted, or a network of `StudyConfig.networks`.
    """

    name: str
    windows: int
    synthesis: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    real_noise: str | None = None


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All of a study.

    run: the YAML of a fine-tuning run that the arms change. networks: archives without a catalog whose noise
    arms may learn from, by name. network_noise: what is noise there.
    """

    output_dir: str
    arms: tuple[Arm, ...]
    run: str = "study/picker.yaml"
    transfer: TransferConfig = field(default_factory=TransferConfig)
    networks: dict[str, str] = field(default_factory=lambda: {"iceland": "$SEISFM_DATA/iceland_continuous"})
    network_noise: NetworkNoiseConfig = field(default_factory=NetworkNoiseConfig)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len(set(names)) < len(names):
            raise ValueError(f"each arm needs a name of its own, found {names}")
        if overrides := [name for name in names if "=" in name]:
            raise ValueError(f"the name of an arm must not look like an override, found {overrides}")
        known = (OWN_STATION, *self.networks)
        if unknown := {arm.real_noise for arm in self.arms} - {None, *known}:
            raise ValueError(f"real_noise must be one of {known} or null, found {sorted(unknown)}")


def run_of_arm(study: StudyConfig, arm: Arm) -> FinetuneConfig:
    """The run that trains an arm."""
    name, folder = arm.name, folder_of(study, arm)
    path = Path(study.run) if Path(study.run).is_file() else CONFIG_FOLDER / study.run
    settings = yaml.safe_load(path.read_text(encoding="utf-8"))
    if arm.synthesis:
        settings["train"] = [_changed(source, arm) for source in settings["train"]]
    if arm.real_noise is not None:
        noise = {"kind": "corpus", "path": str(noise_folder(study, arm.real_noise))}
        settings["noise"] = [noise]
        settings["train"] = [*settings["train"], noise]
    overrides = [*arm.overrides, f"output_dir={folder}"]
    run = build_config(FinetuneConfig, settings, overrides, source=f"arm {name}")
    steps = -(-arm.windows // run.training.batch_size)
    return build_config(FinetuneConfig, settings, [*overrides, f"training.max_steps={steps}"], source=name)


def _changed(source: dict[str, Any], arm: Arm) -> dict[str, Any]:
    """A synthetic source with an arm's changes."""
    if source["kind"] != "synthetic":
        raise ValueError(
            f"{arm.name}: synthesis changes synthetic sources, found one of kind {source['kind']}"
        )
    where = f"arm {arm.name}: synthesis"
    synthesis = build_config(SynthesisConfig, source.get("synthesis", {}), arm.synthesis, source=where)
    return source | {"synthesis": as_plain(asdict(synthesis))}


def folder_of(study: StudyConfig, arm: Arm) -> Path:
    return Path(study.output_dir) / arm.name.replace(",", "").replace(" ", "-")


def noise_folder(study: StudyConfig, name: str) -> Path:
    return Path(study.output_dir) / f"noise-{name}"


def write_noise(study: StudyConfig, name: str, data: TransferData) -> None:
    """The noise that arms may learn from, as a corpus, once; beside it what was left out, and why."""
    folder = noise_folder(study, name)
    if (folder / "corpus.json").exists():
        return
    skipped: list[Skipped] = []
    if name == OWN_STATION:
        records = list(data.training_noise)
    else:
        archive = Archive.open(os.path.expandvars(study.networks[name]))
        records = list(cut_network_noise(archive, skipped, study.network_noise))
    if not records:
        raise ValueError(
            f"{name} has no noise to learn from: {len(skipped)} windows and traces were left out, such as "
            f"{skipped[-1:]}; give another archive, shorter windows or a weaker veto"
        )
    write_corpus(records, folder)
    table = pd.DataFrame([asdict(one) for one in skipped], columns=["item", "reason"])
    write_atomically(folder.with_suffix(".skipped.csv"), table.to_csv(index=False))


def pickers(
    study: StudyConfig, names: list[str] | None, models: list[str], data: TransferData
) -> Iterator[tuple[str, WindowPicker]]:
    """The rules first, then the models that were given, then each arm as soon as it is trained."""
    yield from ((picker.name, picker) for picker in (StaLtaPicker(), PalPicker()))
    for path in models:
        yield path, ModelPicker(load_model(path), FIXED, 0.5)
    for arm in study.arms:
        if names is not None and arm.name not in names:
            continue
        if arm.real_noise is not None:
            write_noise(study, arm.real_noise, data)
        folder = folder_of(study, arm)
        if not (folder / "metrics.json").exists():
            finetune(run_of_arm(study, arm))
        yield arm.name, ModelPicker(load_model(folder), FIXED, 0.5)


def score(name: str, picker: WindowPicker, data: TransferData, study: StudyConfig) -> None:
    """Both operating points of a picker, into files of its own."""
    target = Path(study.output_dir) / "scores" / name.strip("/").replace("/", "_").replace(" ", "-")
    if (target / "noise.csv").exists():
        return
    points = {"false picks": None}
    if isinstance(picker, ModelPicker):
        points[f"{FIXED['P']:g}"] = FIXED
    found = {point: score_transfer(picker, data, study.transfer, at) for point, at in points.items()}
    target.mkdir(parents=True, exist_ok=True)
    for part in ("table", "noise"):
        joined = pd.concat([getattr(scores, part).assign(point=point) for point, scores in found.items()])
        write_atomically(target / f"{part}.csv", joined.assign(picker=name).to_csv(index=False))


def gathered(study: StudyConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """All that was ever scored in this study."""
    folder = Path(study.output_dir) / "scores"
    table, noise = (
        pd.concat([pd.read_csv(file) for file in sorted(folder.glob(f"*/{part}.csv"))], ignore_index=True)
        for part in ("table", "noise")
    )
    return table, noise


def recall_figure(table: pd.DataFrame, set_name: str = "all", tolerance_s: float = 0.5) -> Figure:
    """Recall of P and S by picker with its interval, the best P at the top."""
    rows = table[
        (table.set == set_name) & (table.tolerance_s == tolerance_s) & (table.point == "false picks")
    ]
    order = rows[rows.phase == "P"].sort_values("recall").picker.tolist()
    figure, (axes,) = new_figure(0.9 + 0.3 * len(order))
    for phase, shift in (("P", 0.12), ("S", -0.12)):
        known = rows[rows.phase == phase].set_index("picker").reindex(order)
        ends = [known.recall - known.recall_low, known.recall_high - known.recall]
        places = [place + shift for place in range(len(order))]
        axes.errorbar(
            100 * known.recall,
            places,
            xerr=[100 * end for end in ends],
            fmt="o",
            ms=4,
            color=PHASE_COLORS[phase],
            label=phase,
        )
    axes.set_yticks(range(len(order)), order)
    axes.set_xlabel(f"found within {tolerance_s:g} s (%), with the interval over events")
    axes.grid(axis="x", alpha=0.25)
    add_legend(axes)
    return figure


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", nargs="*", default=[], help="folders of models to score as they are")
    return study_arguments(parser, StudyConfig, words)


def main() -> None:
    arguments = arguments_of()
    study = arguments.study
    data = load_transfer_data(study.transfer)
    for name, picker in pickers(study, arguments.arms, arguments.model, data):
        score(name, picker, data, study)
        table, noise = gathered(study)
        folder = Path(study.output_dir)
        write_atomically(folder / "scores.csv", table.to_csv(index=False))
        write_atomically(folder / "noise.csv", noise.to_csv(index=False))
        recall_figure(table).savefig(folder / "scores.png", dpi=150)
    columns = ["picker", "phase", "tolerance_s", "recall", "precision", "f1", "mae_s", "arrivals"]
    shown = table[(table.set == "all") & (table.point == "false picks")]
    print(shown[columns].round(3).to_string(index=False))


if __name__ == "__main__":
    main()
