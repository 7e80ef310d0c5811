"""Fine-tune and score a picker over several seeds, each with its own split by event, weights and order.

    python examples/repeat_over_seeds.py --base runs/picker --out runs/ncedc --seeds 0 1 2 3 4

Scores the base as it is, the base fine-tuned as `finetune/ncedc.yaml` says, and the same network trained from
random weights on the same records for as many steps. Writes one folder a seed, `scores.csv` with all rows,
and `summary.csv` with mean, lowest and highest over the seeds.
"""

import argparse
import dataclasses
from pathlib import Path

import pandas as pd
from seisfm.configs.loader import load_config
from seisfm.eval.picking_run import PickingRunConfig, run_picking_evaluation
from seisfm.finetune.methods import MethodConfig
from seisfm.finetune.run import FinetuneConfig, finetune

SCRATCH_LEARNING_RATE = 1e-3


def with_split(sources, seed):
    return tuple(
        dataclasses.replace(source, split=dataclasses.replace(source.split, seed=seed)) for source in sources
    )


def tuned_models(base, folder, seed):
    """The folders of the models to score, by name; trains what is not there yet."""
    run = load_config(FinetuneConfig, "finetune/ncedc.yaml", [f"seed={seed}", f"base={base}"])
    run = dataclasses.replace(run, train=with_split(run.train, seed), valid=with_split(run.valid, seed))
    scratch = dataclasses.replace(
        run,
        base=None,
        method=MethodConfig(kind="full"),
        training=dataclasses.replace(run.training, learning_rate=SCRATCH_LEARNING_RATE),
    )
    runs = {"fine-tuned": run, "from random weights": scratch}
    for name, config in runs.items():
        target = folder / name.replace(" ", "-")
        if not (target / "metrics.json").exists():
            finetune(dataclasses.replace(config, output_dir=str(target)))
    return {"base": base} | {name: folder / name.replace(" ", "-") for name in runs}


def scores_of_seed(base, folder, seed):
    """All rows of all pickers on this seed's held-out events."""
    tables = []
    for name, model in tuned_models(base, folder, seed).items():
        run = load_config(PickingRunConfig, "eval/ncedc.yaml")
        parts = {part: with_split(getattr(run, part), seed) for part in ("test", "validation", "train")}
        output = folder / f"scores-{name.replace(' ', '-')}"
        run = dataclasses.replace(run, model=str(model), output_dir=str(output), **parts)
        scores, _ = run_picking_evaluation(run)
        table = scores.table.replace({"picker": {"model": name}}).assign(seed=seed)
        found = scores.residuals.query("picker == 'model'").assign(picker=name, seed=seed)
        found.to_csv(output / "model_residuals.csv", index=False)
        # The baselines see the same windows each time: once is enough.
        tables.append(table if name == "base" else table[table.picker == name])
    return pd.concat(tables)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    tables = [scores_of_seed(arguments.base, arguments.out / f"seed-{s}", s) for s in arguments.seeds]
    table = pd.concat(tables)
    table.to_csv(arguments.out / "scores.csv", index=False)
    grouped = table.groupby(["picker", "phase", "tolerance_s"])[["precision", "recall", "f1"]]
    summary = grouped.agg(["mean", "min", "max"]).round(3)
    summary.to_csv(arguments.out / "summary.csv")
    print(summary.to_string())


if __name__ == "__main__":
    main()
