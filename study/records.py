"""The records of a study: made once, kept apart, and handed out in nested numbers of events."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..configs.loader import build_config
from ..data.corpus.convert import convert_to_corpus
from ..data.corpus.corpus import Corpus
from ..data.record_facts import record_facts
from ..data.record_table import record_table
from ..data.records import Record, event_keys
from ..data.sources import SourceConfig, load_all
from ..eval.leakage import leakage_report
from ..eval.report import to_json, write_atomically
from ..pretrain.run import PretrainConfig
from .config import StudyConfig, StudySet

MADE_OF = "made_of.json"


@dataclass(frozen=True, kw_only=True)
class StudyData:
    """Where the records of a study lie, below `folder`. Written once, by whichever run comes first."""

    folder: Path

    def pretraining(self, config: PretrainConfig) -> tuple[SourceConfig, ...]:
        """The sources of the pretraining; synthetic records that come again and again are made only once."""
        made = enumerate(config.sources)
        return tuple(
            self._kept(f"pretraining-{number}", (source,))
            if source.kind == "synthetic" and not source.endless
            else source
            for number, source in made
        )

    def side(self, one: StudySet, side: str) -> SourceConfig:
        """A set's side as a source."""
        return self._kept(f"{one.name}/{side}", one.sides[side])

    def labelled(self, one: StudySet, seed: int, num_events: int) -> SourceConfig:
        """So many labelled events of a set: those of fewer are among them, for all arms the same."""
        whole = self.side(one, "train")
        corpus = Corpus(whole.folder())
        keys = np.array(event_keys(corpus), dtype=object)
        chosen = set(labelled_events(corpus, seed)[:num_events])
        if len(chosen) < num_events:
            raise ValueError(
                f"the set {one.name} has {len(chosen)} labelled events to learn from, fewer than "
                f"{num_events}: give it smaller budgets, or a larger train side"
            )
        left_out = record_facts(corpus).record_id[[key not in chosen for key in keys]]
        file = self.folder / one.name / f"seed-{seed}" / f"all-but-{num_events}-events.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, "".join(f"{name}\n" for name in left_out))
        return SourceConfig(kind="corpus", path=whole.path, exclude=str(file))

    def _kept(self, name: str, sources: tuple[SourceConfig, ...]) -> SourceConfig:
        """The records of some sources as a corpus, written where it is not there yet.

        Raises ValueError where one of other sources is there.
        """
        target = self.folder / name
        if not target.exists():
            self._write(target, sources)
        # Through the configuration: what has a new setting since, with a default, is the same as before.
        former = json.loads((target / MADE_OF).read_text(encoding="utf-8"))
        if tuple(build_config(SourceConfig, source, source=str(target)) for source in former) != sources:
            raise ValueError(f"{target} was made of other sources: choose another output_dir")
        return SourceConfig(kind="corpus", path=str(target))

    def _write(self, target: Path, sources: tuple[SourceConfig, ...]) -> None:
        records, skipped = load_all(sources)
        target.parent.mkdir(parents=True, exist_ok=True)
        unfinished = target.with_name(f".{target.name}-{os.getpid()}")
        shutil.rmtree(unfinished, ignore_errors=True)
        convert_to_corpus(records, unfinished, skipped=skipped)
        write_atomically(unfinished / MADE_OF, to_json([asdict(source) for source in sources]))
        try:
            unfinished.rename(target)
        except OSError:
            # Another process was faster, with the same records.
            if not target.exists():
                raise
            shutil.rmtree(unfinished)


def labelled_events(records: Sequence[Record], seed: int) -> list[str]:
    """The events with an arrival, in an order that a hash of name and seed decides: what is added later
    changes the order of none."""
    table = record_table(records)
    assert table is not None, "a corpus knows its labels"
    keys = np.array(event_keys(records), dtype=object)
    labelled = set(keys[np.isfinite(table.first_arrival_s)])
    return sorted(labelled, key=lambda key: hashlib.sha256(f"{seed}/{key}".encode()).digest())


def check_apart(study: StudyConfig, data: StudyData, config: PretrainConfig) -> list[str]:
    """What the leakage reports say of each set, a line each.

    Raises ValueError where a scored event, record, waveform or stretch of time is also in the pretraining, or
    among those to learn picks or thresholds from.
    """
    pretraining, _ = load_all((*data.pretraining(config), *config.noise))
    known = record_facts(pretraining, hashes=True)
    lines = []
    for one in study.sets_here:
        sides = {side: record_facts(Corpus(data.side(one, side).folder()), hashes=True) for side in one.sides}
        test = sides.pop("test")
        others = {"the pretraining": known, **{f"its {side} side": facts for side, facts in sides.items()}}
        for name, facts in others.items():
            report = leakage_report(test, facts)
            if report.leaks:
                raise ValueError(f"the test events of {one.name} are in {name}: {report.summary()}")
            lines.append(f"{one.name}, test events against {name}: {report.summary()}")
    return lines
