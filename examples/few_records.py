"""How much do ten, thirty, a hundred real records add to a picker that learned on synthetic ones?

    python examples/few_records.py --base runs/transfer/with-real-noise --out runs/few
    python examples/few_records.py --base runs/picker --out runs/few --records 10 30 --seeds 0 1 2

The records are those of the development events of the transfer study (docs/studies/transfer.md), nested: the
ten are among the thirty. Half of the windows stay synthetic. Beside the fine-tuned base stand the base as it
is and the same network from random weights on the same records. Thresholds come from the development side's
noise; what is scored are the test events. Stopped runs go on; what is there is not done again. Needs
SEISFM_DATA. Writes `scores.csv` and `scores.png`.
"""

import argparse
import dataclasses
import os
import random
from pathlib import Path

import pandas as pd
from seisfm.configs.loader import load_config
from seisfm.data.corpus.convert import write_corpus
from seisfm.data.formats.phasenet_npz import read_phasenet_npz
from seisfm.data.records import Record
from seisfm.data.sources import SourceConfig
from seisfm.data.splitting.splits import split_by_event
from seisfm.eval.figures import PHASE_COLORS, add_legend, new_figure
from seisfm.eval.model_picker import ModelPicker
from seisfm.eval.report import write_atomically
from seisfm.eval.transfer import TransferConfig, load_transfer_data, score_transfer
from seisfm.finetune.run import FinetuneConfig, finetune
from seisfm.heads.task_model import load_model

NUM_SYNTHETIC_EVENTS = 200
TRAINING = {"max_steps": 150, "batch_size": 32, "warmup_steps": 15, "checkpoint_every": 50}
LEARNING_RATE = {"fine-tuned": 3e-4, "from random weights": 3e-3}


def shuffled_records(transfer: TransferConfig, seed: int) -> list[Record]:
    """The development events' records in a random order: the first n are those to learn from."""
    records, _ = read_phasenet_npz(Path(os.path.expandvars(transfer.events)))
    fractions = {"dev": transfer.dev_fraction, "test": 1 - transfer.dev_fraction}
    chosen = list(split_by_event(records, fractions, transfer.seed)["dev"])
    random.Random(seed).shuffle(chosen)
    return chosen


def run_of(base: str, records: list[Record], folder: Path, kind: str, seed: int) -> FinetuneConfig:
    """Half real windows, half synthetic ones, from the base or from nothing."""
    corpus = folder.parent / f"records-{len(records)}-seed-{seed}"
    if not (corpus / "corpus.json").exists():
        write_corpus(records, corpus)
    run = load_config(FinetuneConfig, "study/picker.yaml", [f"output_dir={folder}", f"seed={seed}"])
    (synthetic,) = run.train
    synthetic = dataclasses.replace(synthetic, num_events=NUM_SYNTHETIC_EVENTS, seed=1000 + seed)
    weight = NUM_SYNTHETIC_EVENTS * synthetic.synthesis.stations_per_event[1] / len(records)
    real = SourceConfig(kind="corpus", path=str(corpus), weight=weight)
    training = dataclasses.replace(run.training, learning_rate=LEARNING_RATE[kind], **TRAINING)
    changes = {"train": (synthetic, real), "training": training, "validation_windows": 64}
    if kind == "fine-tuned":
        changes["base"] = base
    return dataclasses.replace(run, **changes)


def models(base: str, out: Path, numbers: list[int], seeds: list[int], transfer: TransferConfig):
    """Each model's name, number of records, seed and folder, as soon as it is trained."""
    yield "base", 0, 0, Path(base)
    for seed in seeds:
        records = shuffled_records(transfer, seed)
        for number in numbers:
            if number > len(records):
                raise SystemExit(
                    f"{number} records were asked for, the development events have {len(records)}"
                )
            for kind in LEARNING_RATE:
                folder = out / f"{kind.replace(' ', '-')}-{number}-seed-{seed}"
                if not (folder / "metrics.json").exists():
                    finetune(run_of(base, records[:number], folder, kind, seed))
                yield kind, number, seed, folder


def figure_of(table: pd.DataFrame, tolerance_s: float = 0.5):
    """Recall by the number of real records, each seed a point and their mean a line."""
    figure, axes = new_figure(3.2, columns=2)
    rows = table[(table.tolerance_s == tolerance_s)]
    for phase, panel in zip(("P", "S"), axes, strict=True):
        base = rows[(rows.model == "base") & (rows.phase == phase)].recall
        panel.axhline(100 * float(base.iloc[0]), color="0.5", lw=1, label="base, no real record")
        for kind, marker in (("fine-tuned", "o"), ("from random weights", "s")):
            own = rows[(rows.model == kind) & (rows.phase == phase)]
            mean = own.groupby("records").recall.mean()
            panel.plot(own.records, 100 * own.recall, marker, ms=3, color=PHASE_COLORS[phase], alpha=0.5)
            style = "-" if kind == "fine-tuned" else ":"
            panel.plot(mean.index, 100 * mean, style, color=PHASE_COLORS[phase], label=kind)
        panel.set(xscale="log", xlabel="real records learned from", ylabel=f"{phase} found (%)")
        panel.minorticks_off()
        numbers = sorted(set(rows.records) - {0})
        panel.set_xticks(numbers, [str(number) for number in numbers])
        add_legend(panel)
    return figure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True, help="folder of a picker that learned on synthetic records")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--records", type=int, nargs="+", default=[10, 30, 80])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    arguments = parser.parse_args()
    transfer = TransferConfig()
    data = load_transfer_data(transfer)
    data = dataclasses.replace(data, events={"test": data.events["test"]})
    arguments.out.mkdir(parents=True, exist_ok=True)
    rows: list[pd.DataFrame] = []
    for kind, number, seed, folder in models(
        arguments.base, arguments.out, arguments.records, arguments.seeds, transfer
    ):
        picker = ModelPicker(load_model(folder), {"P": 0.3, "S": 0.3}, 0.5)
        scores = score_transfer(picker, data, transfer)
        rows.append(scores.table.assign(model=kind, records=number, seed=seed))
        table = pd.concat(rows, ignore_index=True)
        write_atomically(arguments.out / "scores.csv", table.to_csv(index=False))
    figure_of(table).savefig(arguments.out / "scores.png", dpi=150)
    shown = table.groupby(["model", "records", "phase", "tolerance_s"])[
        ["recall", "precision", "mae_s"]
    ].mean()
    print(shown.round(3).to_string())


if __name__ == "__main__":
    main()
