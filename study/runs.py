"""One run of a study: a pretraining, or a fine-tuning with its scores; once, and on from where it stopped."""

from __future__ import annotations

import dataclasses
import json
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch

from ..configs.loader import load_config
from ..data.splitting.fingerprints import fingerprints_of
from ..eval.report import plain, to_json, write_atomically
from ..finetune.run import FinetuneConfig, finetune
from ..foundation.backbones.registry import backbone_config, make_backbone
from ..foundation.run_folder import replacing_folder, write_papers
from ..pretrain.run import PretrainConfig, pretrain
from .config import StudyConfig, StudySet
from .cost import no_cost, training_cost
from .plan import Run, finetune_config, folder_of, pretrain_config, windows_seen
from .records import StudyData
from .scoring import ScoredSet

DONE = "study.json"
"""Written last, when nothing more is to be done for a run: its cost, and the scores of a fine-tuning."""


def is_done(study: StudyConfig, run: Run) -> bool:
    """Whether a run is finished."""
    return (folder_of(study, run) / DONE).exists()


@dataclass
class Runner:
    """Does runs, and keeps the windows of each set between them."""

    study: StudyConfig
    data: StudyData
    _sets: dict[str, ScoredSet] = field(default_factory=dict)

    def do(self, run: Run) -> None:
        """Finish a run.

        Raises ValueError where its folder holds a finished one with other settings, and what `pretrain` and
        `finetune` raise: Stopped after SIGTERM among it, once all is saved.
        """
        config = self._pretraining(run) if run.one is None else self._finetuning(run, run.one)
        folder = folder_of(self.study, run)
        if is_done(self.study, run):
            self._check_same(folder, config)
            return
        if isinstance(config, PretrainConfig):
            report = self._pretrain(config, folder)
        else:
            result = finetune(config)
            cost = training_cost(folder, windows_seen(config.training) // config.training.max_steps)
            assert run.one is not None
            rows = self.scored_set(run.one).score_model(folder)
            report = {
                "cost": cost,
                "scores": rows,
                "num_parameters": result.metrics["num_parameters"],
                "protocol": self._protocol(),
            }
        write_atomically(folder / DONE, to_json(report))
        # A study has hundreds of runs; what only resuming needs would fill the disk.
        for name in ("checkpoints", "logs"):
            shutil.rmtree(folder / name, ignore_errors=True)

    def scored_set(self, one: StudySet) -> ScoredSet:
        """The windows of a set, cut when they are asked for first."""
        if one.name not in self._sets:
            self._sets[one.name] = ScoredSet.of(one, self.data, self.study.protocol)
        return self._sets[one.name]

    def score_baseline(self, one: StudySet) -> None:
        """Score STA/LTA on a set, once."""
        file = baseline_file(self.study, one)
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, to_json({"scores": self.scored_set(one).score_sta_lta()}))

    def _pretraining(self, run: Run) -> PretrainConfig:
        config = pretrain_config(self.study, run.arm, run.seed)
        return dataclasses.replace(config, sources=self.data.pretraining(config))

    def _finetuning(self, run: Run, one: StudySet) -> FinetuneConfig:
        assert run.num_events is not None
        train = self.data.labelled(one, run.seed, run.num_events)
        return finetune_config(self.study, run, train, self.data.side(one, "validation"))

    def _pretrain(self, config: PretrainConfig, folder: Path) -> dict[str, Any]:
        if not config.objectives:
            save_random_encoder(config, folder)
            return {"cost": no_cost()}
        pretrain(config)
        cost = training_cost(folder, windows_seen(config.training) // config.training.max_steps)
        return {"cost": cost}

    def _check_same(self, folder: Path, config: PretrainConfig | FinetuneConfig) -> None:
        # Through the configuration: what has a new setting since, with a default, is the same as before.
        former = load_config(type(config), folder / "training.yaml")
        report = json.loads((folder / DONE).read_text(encoding="utf-8"))
        same_protocol = "protocol" not in report or report["protocol"] == self._protocol()
        if former != config or not same_protocol:
            raise ValueError(f"{folder} was made with other settings: choose another output_dir")

    def _protocol(self) -> dict[str, Any]:
        return plain(dataclasses.asdict(self.study.protocol))


def save_random_encoder(config: PretrainConfig, folder: Path) -> None:
    """An encoder as the pretrainings of its seed begin with it, saved as a finished one is."""
    torch.manual_seed(config.seed)
    model = make_backbone(backbone_config(config.backbone, config.size, config.contract, config.architecture))
    with replacing_folder(folder) as unfinished:
        model.save_pretrained(unfinished)
        write_papers(unfinished, config, to_json({"steps": 0}), (), fingerprints_of({}))


def baseline_file(study: StudyConfig, one: StudySet) -> Path:
    """Where the scores of STA/LTA on a set are."""
    return Path(study.output_dir) / "runs" / f"{one.name}-sta-lta.json"
