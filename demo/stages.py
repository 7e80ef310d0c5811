"""The stages of the demonstration: each calls what a user would call, on small data."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import obspy

from ..catalog.picker import Picker, PickResult
from ..catalog.run import CatalogConfig, CatalogRun, run_catalog
from ..configs.loader import load_config
from ..data.continuous.examples import uh_archive, uh_stations
from ..data.formats.seisbench_format import SeisBenchDataset, write_seisbench
from ..data.records import Record
from ..data.sources import SourceConfig, load_records
from ..data.synthesis import SynthesisConfig, synthesize_records
from ..eval.picking_protocol import PickingProtocolConfig, evaluate_picking
from ..eval.picking_scores import PickingScores
from ..finetune.adapters import merge_adapter
from ..finetune.run import FinetuneConfig, FinetuneResult, finetune
from ..finetune.start import model_on_base
from ..heads.task_model import load_model
from ..hub.publish import publish
from ..pretrain.run import PretrainConfig, PretrainResult, pretrain
from .config import DemoConfig

PARTS = ("train", "validation", "test")
LICENCE = "apache-2.0"
COMPUTED = "none needed: computed by seisfm"


@dataclass(frozen=True, kw_only=True)
class Corpus:
    """Synthetic records in SeisBench's format, by part; no event is in two parts."""

    folders: dict[str, Path]

    def records(self, part: str) -> Sequence[Record]:
        """The records of a part."""
        return list(SeisBenchDataset(self.folders[part]))

    def source(self, part: str) -> SourceConfig:
        """A part as a run's configuration names it."""
        return SourceConfig(kind="seisbench", path=str(self.folders[part]), licence=COMPUTED)


def make_corpus(folder: Path, config: DemoConfig) -> Corpus:
    """Synthesize the three parts, each from a seed of its own; a part that is there stays."""
    folders = {part: folder / part for part in PARTS}
    for number, (part, target) in enumerate(folders.items()):
        if (target / "metadata.csv").exists():
            continue
        num_events = config.num_events if part == "train" else config.num_scored_events
        seed = 1000 * config.seed + number
        workers = config.workers if part == "train" else 1
        write_seisbench(synthesize_records(SynthesisConfig(), seed, num_events, workers=workers), target)
    return Corpus(folders=folders)


def pretrain_encoder(folder: Path, corpus: Corpus, config: DemoConfig) -> PretrainResult:
    """Masked autoencoding without labels."""
    run = load_config(PretrainConfig, config.pretraining, config.pretraining_changes)
    return pretrain(dataclasses.replace(run, output_dir=str(folder), sources=(corpus.source("train"),)))


def finetune_picker(folder: Path, base: Path, corpus: Corpus, config: DemoConfig) -> FinetuneResult:
    """A LoRA adapter and the heads for picking and detection."""
    run = load_config(FinetuneConfig, config.finetuning, config.finetuning_changes)
    return finetune(
        dataclasses.replace(run, output_dir=str(folder), base=str(base), train=(corpus.source("train"),))
    )


def score_before_and_after(
    tuned: FinetuneResult, base: Path, corpus: Corpus, config: DemoConfig
) -> dict[str, PickingScores]:
    """The same windows for the encoder with untrained heads and for the fine-tuned model."""
    run = load_config(FinetuneConfig, config.finetuning, config.finetuning_changes)
    untrained = model_on_base(str(base), run.heads, run.loss_weights, run.seed).model
    test, validation, train = (corpus.records(part) for part in ("test", "validation", "train"))
    return {
        name: evaluate_picking(
            model,
            test,
            PickingProtocolConfig(),
            validation_records=validation,
            train_records=train,
        )
        for name, model in (("before", untrained), ("after", tuned.tunable.model))
    }


def publish_merged(folder: Path, tuned: FinetuneResult, scores: PickingScores) -> Path:
    """Merge the adapter into its base, add the scores, publish to a folder, and prove that it loads."""
    merged, published = folder / "seisfm-demo", folder / "model"
    shutil.rmtree(merged, ignore_errors=True)
    merge_adapter(tuned.output_dir, merged)
    for name in ("training.yaml", "metrics.json"):
        shutil.copy(tuned.output_dir / name, merged / name)
    scores.write(merged)
    publish(merged, published, licence=LICENCE, force=True)
    load_model(published)
    return published


@dataclass(frozen=True, kw_only=True)
class ExamplePicks:
    """Picks on a stream, with its waveforms and the probabilities beneath."""

    title: str
    stream: obspy.Stream
    probability: obspy.Stream
    result: PickResult


def pick_examples(model_dir: Path) -> list[ExamplePicks]:
    """Pick the two small recordings of local earthquakes that every installation of ObsPy has."""
    picker = Picker.from_pretrained(str(model_dir))
    streams = {
        "BW.RJOB, 2009-08-24, the stream of obspy.read()": obspy.read(),
        "BW.UH1 to UH4, 2010-05-27, ObsPy's trigger tutorial": uh_archive(),
    }
    return [
        ExamplePicks(
            title=title, stream=stream, probability=picker.annotate(stream), result=picker.classify(stream)
        )
        for title, stream in streams.items()
    ]


def small_catalog(folder: Path, model_dir: Path) -> CatalogRun:
    """The four stations as a small archive of files: picked, associated, located."""
    archive, output = folder / "archive", folder / "catalog"
    archive.mkdir(exist_ok=True)
    uh_archive().write(str(archive / "uh.mseed"), format="MSEED")
    uh_stations().to_csv(folder / "stations.csv", index=False)
    shutil.rmtree(output, ignore_errors=True)
    config = load_config(
        CatalogConfig,
        "catalog/few_stations.yaml",
        [
            f"archive={archive}",
            f"stations={folder / 'stations.csv'}",
            f"model={model_dir}",
            f"output_dir={output}",
            "show_progress=false",
        ],
    )
    return run_catalog(config)


@dataclass(frozen=True, kw_only=True)
class RealRecords:
    """Fine-tuning on real records: the scores of the model before and after, on events held out."""

    scores: dict[str, PickingScores]
    num_records: dict[str, int]


def adapt_to_real_records(folder: Path, model_dir: Path, config: DemoConfig) -> RealRecords | str:
    """Fine-tune and score on real Northern California records, or say why not."""
    data = Path(config.data_folder or "") / "ncedc_phasenet"
    if not config.data_folder or not data.is_dir():
        return f"Skipped: there are no real records at {data}. Set SEISFM_DATA to a folder that has them."
    run = load_config(FinetuneConfig, config.region, config.region_changes)
    train, valid = (_elsewhere(sources, data) for sources in (run.train, run.valid))
    run = dataclasses.replace(run, output_dir=str(folder), base=str(model_dir), train=train, valid=valid)
    result = finetune(run)
    parts: dict[str, Any] = {
        part: load_records(dataclasses.replace(train[0], part=part))[0] for part in train[0].split.sides
    }
    scores = {
        name: evaluate_picking(
            model,
            parts["test"],
            PickingProtocolConfig(),
            validation_records=parts["validation"],
            train_records=parts["train"],
        )
        for name, model in (("before", load_model(model_dir)), ("after", result.tunable.model))
    }
    return RealRecords(scores=scores, num_records={part: len(found) for part, found in parts.items()})


def _elsewhere(sources: Sequence[SourceConfig], path: Path) -> tuple[SourceConfig, ...]:
    return tuple(dataclasses.replace(source, path=str(path)) for source in sources)
