"""What each head reaches beside its classical reference: one model or eight, scaling, physics, pretraining.

    python examples/heads_study.py study/heads.yaml
    python examples/heads_study.py study/heads.yaml windows=25600 seeds=[0,1,2] output_dir=runs/mine
    python examples/heads_study.py study/heads.yaml --arms multi "only magnitude"
    python examples/heads_study.py study/heads.yaml --arms --text docs/studies/heads.md

Everything is synthetic (see docs/studies/heads.md). A stopped study goes on where it was; arms that are
trained are not trained again, those that are scored not scored again; two processes may share one by arms or
seeds. With `--arms` and no name nothing is trained: tables and figure of what there is. Writes a folder an
arm and seed, a file of scores each, `scores.csv`, `differences.csv`, `table.md` and `scores.png`.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd
from seisfm.configs.loader import build_config, load_config, save_config
from seisfm.eval.arm_differences import paired_differences
from seisfm.eval.arm_figures import MEASURES, ON_ALL, arm_figure, arm_table, difference_table
from seisfm.eval.head_scores import HeadScoresConfig, HeldOutWindows
from seisfm.eval.report import write_atomically
from seisfm.finetune.run import FinetuneConfig, finetune
from seisfm.heads.task_model import load_model
from seisfm.pretrain.run import PretrainConfig, pretrain
from seisfm.study.arguments import study_arguments

SHARED = (
    *("train", "noise", "backbone", "size", "architecture", "contract", "windows", "augmentation"),
    *("validation_fraction", "validation_windows"),
)
"""What a pretraining takes over from the fine-tuning; `train` becomes its `sources`."""

OWN = ("output_dir", "seed", "valid", "base", "revision")
"""What the study itself decides."""

PRETRAINING_SEED = 1000
"""Added to the seed of an arm, so that its pretraining sees other windows."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training of the study.

    name: in tables, and of its folder. overrides: changes of the run, as on a command line. heads: those of
    the run's that the arm has; all of them where none is named. share: of the study's windows. pretrained:
    the encoder comes from a pretraining on as many windows without labels. against: the arm that it is held
    against, window by window; the study's first where none is named.
    """

    name: str
    overrides: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    share: float = 1.0
    pretrained: bool = False
    against: str | None = None

    def __post_init__(self) -> None:
        if not 0.0 < self.share <= 1.0:
            raise ValueError(f"share must lie above 0 and be at most 1, found {self.share}")


@dataclass(frozen=True, kw_only=True)
class StudyConfig:
    """All of a study.

    run: what all arms have in common, as in a `FinetuneConfig`. pretraining: the rest of a `PretrainConfig`,
    for arms with `pretrained`. windows: how many an arm learns from. scores: the held-out events. arms: the
    others are held against the first, window by window, unless they name another.
    """

    output_dir: str
    arms: tuple[Arm, ...]
    run: dict[str, Any]
    pretraining: dict[str, Any] = field(default_factory=dict)
    windows: int = 12800
    seeds: tuple[int, ...] = (0,)
    scores: HeadScoresConfig = field(default_factory=HeadScoresConfig)

    def __post_init__(self) -> None:
        names = [arm.name for arm in self.arms]
        if len({_plain(name) for name in names}) < len(names):
            raise ValueError(f"each arm needs a name of its own, found {names}")
        if overrides := [name for name in names if "=" in name]:
            raise ValueError(f"the name of an arm must not look like an override, found {overrides}")
        if decided := sorted({*OWN} & {*self.run}):
            raise ValueError(f"run must leave {decided} to the study")
        if strangers := sorted({arm.against for arm in self.arms if arm.against} - set(names)):
            raise ValueError(f"arms are held against {strangers}, but there are {names}")
        heads = self.run.get("heads", {})
        if unknown := sorted({head for arm in self.arms for head in arm.heads} - set(heads)):
            raise ValueError(f"arms name the heads {unknown}, the run has {sorted(heads)}")


def run_of_arm(study: StudyConfig, arm: Arm, seed: int) -> FinetuneConfig:
    """The run that trains an arm: a tenth of it is warm-up, and it is validated five times."""
    heads = {name: study.run["heads"][name] for name in arm.heads or study.run["heads"]}
    settings = study.run | {"heads": heads, "seed": seed, "output_dir": str(folder_of(study, arm, seed))}
    if arm.pretrained:
        settings["base"] = str(pretrained_folder(study, seed))
    run = build_config(FinetuneConfig, settings, arm.overrides, source=f"arm {arm.name}")
    steps = _steps(round(study.windows * arm.share), run.training.batch_size)
    return build_config(
        FinetuneConfig, settings, [*arm.overrides, *_lengths(steps)], source=f"arm {arm.name}"
    )


def pretraining_of(study: StudyConfig, seed: int) -> PretrainConfig:
    """The pretraining of an encoder on as many windows as an arm learns from."""
    shared = {name: study.run[name] for name in SHARED if name in study.run}
    training = study.run.get("training", {}) | study.pretraining.get("training", {})
    settings = shared | study.pretraining | {"training": training, "sources": shared["train"]}
    del settings["train"]
    settings |= {"seed": PRETRAINING_SEED + seed, "output_dir": str(pretrained_folder(study, seed))}
    run = build_config(PretrainConfig, settings, source="pretraining")
    steps = _steps(study.windows, run.training.batch_size)
    return build_config(PretrainConfig, settings, _lengths(steps), source="pretraining")


def _steps(windows: int, batch_size: int) -> int:
    return -(-windows // batch_size)


def _lengths(steps: int) -> list[str]:
    return [
        f"training.max_steps={steps}",
        f"training.warmup_steps={steps // 10}",
        f"training.checkpoint_every={-(-steps // 5)}",
    ]


def _plain(name: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in name)


def folder_of(study: StudyConfig, arm: Arm, seed: int) -> Path:
    return Path(study.output_dir) / f"{_plain(arm.name)}-seed-{seed}"


def pretrained_folder(study: StudyConfig, seed: int) -> Path:
    return Path(study.output_dir) / f"encoder-seed-{seed}"


def train_arm(study: StudyConfig, arm: Arm, seed: int) -> None:
    """Train an arm, and its encoder first, as far as they are not there.

    Raises ValueError where the folder holds an arm of other settings.
    """
    if arm.pretrained:
        _once(pretraining_of(study, seed), PretrainConfig, pretrain)
    _once(run_of_arm(study, arm, seed), FinetuneConfig, finetune)


def _once(run: Any, config_class: type, train: Any) -> None:
    papers = Path(run.output_dir) / "training.yaml"
    if not papers.exists():
        train(run)
    elif load_config(config_class, papers) != run:
        raise ValueError(f"{papers} tells of other settings than the study's: give it another output_dir")


class Scores:
    """The files of scores of a study, and the windows that they are made of as soon as one is missing."""

    def __init__(self, study: StudyConfig) -> None:
        self.study = study
        self.folder = Path(study.output_dir) / "scores"
        self.folder.mkdir(parents=True, exist_ok=True)
        rules = self.folder / "held_out.yaml"
        if not rules.exists():
            save_config(study.scores, rules)
        elif load_config(HeadScoresConfig, rules) != study.scores:
            raise ValueError(
                f"{rules} tells of other held-out windows than the study's: give it another output_dir"
            )

    @cached_property
    def windows(self) -> HeldOutWindows:
        return HeldOutWindows(self.study.scores)

    def score_references(self) -> None:
        file = self.folder / "references.csv"
        if not file.exists():
            write_atomically(file, self.windows.score_references().assign(seed=0).to_csv(index=False))

    def score_arm(self, arm: Arm, seed: int) -> None:
        """Errors by window go first: where the scores are, both are."""
        folder = folder_of(self.study, arm, seed)
        file = self.folder / f"{folder.name}.csv"
        if file.exists():
            return
        table, errors = self.windows.score_model(load_model(folder), arm.name)
        write_atomically(file.with_suffix(".errors"), errors.assign(seed=seed).to_csv(index=False))
        write_atomically(file, table.assign(seed=seed).to_csv(index=False))

    def gathered(self, ending: str = "csv") -> pd.DataFrame:
        """All that was ever scored in this study; with `errors`, the errors by window."""
        files = sorted(self.folder.glob(f"*.{ending}"))
        tables = [pd.read_csv(file) for file in files]
        return pd.concat([table for table in tables if len(table)] or tables, ignore_index=True)


def write_results(study: StudyConfig, scores: Scores) -> str:
    """All scores as a table, what of it is read in Markdown, and the figure. Returns what is read."""
    folder, arms, table = Path(study.output_dir), [arm.name for arm in study.arms], scores.gathered()
    write_atomically(folder / "scores.csv", table.to_csv(index=False))
    text = ["### Where the reference answers", "", *arm_table(table, arms, MEASURES), ""]
    text += ["### On all windows", "", *arm_table(table, arms, ON_ALL), ""]
    if set(arms) & set(table.predictor):
        arm_figure(table, arms).savefig(folder / "scores.png", dpi=150)
        found = differences(study, scores.gathered("errors"))
        write_atomically(folder / "differences.csv", found.to_csv(index=False))
        for name in dict.fromkeys(found.against):
            title = f"### Mean error minus that of `{name}`, window by window"
            text += [title, "", *difference_table(found[found.against == name], arms), ""]
    write_atomically(folder / "table.md", "\n".join(text))
    return "\n".join(text)


def differences(study: StudyConfig, errors: pd.DataFrame) -> pd.DataFrame:
    """Each arm's errors minus those of the arm that it is held against, which `against` names."""
    others: dict[str, list[str]] = {}
    for arm in study.arms:
        others.setdefault(arm.against or study.arms[0].name, []).append(arm.name)
    parts = [
        paired_differences(errors[errors.predictor.isin([name, *arms])], name).assign(against=name)
        for name, arms in others.items()
    ]
    return pd.concat([part for part in parts if len(part)] or parts, ignore_index=True)


BEGIN, END = "<!-- scores: written by examples/heads_study.py -->", "<!-- end of scores -->"


def put_into(text_file: Path, study: StudyConfig, results: str) -> None:
    """Put the tables between the two marks of a text, and the figure into the folder `figures` beside it.

    Raises ValueError where the text has not both marks.
    """
    text = text_file.read_text(encoding="utf-8")
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{text_file} must have the lines {BEGIN!r} and {END!r}, found not both")
    figure = text_file.parents[1] / "figures" / "heads_study.png"
    figure.write_bytes((Path(study.output_dir) / "scores.png").read_bytes())
    told = f"![each head, its arms, its reference and the dummy](../figures/{figure.name})\n\n{results}"
    write_atomically(text_file, f"{before}{BEGIN}\n\n{told}\n{END}{after}")


def chosen(study: StudyConfig, names: Sequence[str] | None) -> Iterator[tuple[Arm, int]]:
    """Seed by seed, so that what is there is complete early."""
    for seed in study.seeds:
        yield from ((arm, seed) for arm in study.arms if names is None or arm.name in names)


def arguments_of(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--text", type=Path, help="a text such as docs/studies/heads.md that gets the tables")
    return study_arguments(parser, StudyConfig, words)


def main() -> None:
    arguments = arguments_of()
    study = arguments.study
    for seed in study.seeds:
        for arm in study.arms:  # a setting that does not exist shows before anything is trained
            run_of_arm(study, arm, seed)
    scores = Scores(study)
    scores.score_references()
    text = write_results(study, scores)
    for arm, seed in chosen(study, arguments.arms):
        train_arm(study, arm, seed)
        scores.score_arm(arm, seed)
        text = write_results(study, scores)
        print(f"{arm.name}, seed {seed}: done", flush=True)
    print(text)
    if arguments.text is not None:
        put_into(arguments.text, study, text)


if __name__ == "__main__":
    main()
