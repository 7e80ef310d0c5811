"""Training straight from the generator: a sequence of records that exist when they are asked for."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..event_types import EVENT_TYPES
from ..instruments.harmonization import HarmonizationConfig, Harmonizer
from ..instruments.resampling import native_span, resample_with_gaps
from ..loading.window_random import WindowRandom
from ..loading.windows import WindowConfig
from ..record_facts import HASH_DIGITS, RecordFacts
from ..records import Record
from .config import SynthesisConfig
from .engine import SyntheticEarth
from .heard import Heard
from .labelled_records import instrument_metadata
from .labelled_windows import window_batch
from .views import Views

NUMBER_BITS = (1 << 52) - 1
"""Windows of an endless run are records of numbers drawn from so many, beyond any position."""


class SyntheticRecords(Sequence[Record]):
    """Records of a synthetic Earth, endless for training and fixed for everything else.

    Record i is `SyntheticEarth(config, seed).records([i])`, always the same: what validation and splits see.
    A training window shows a record that no other window shows, whatever its position (`make_windows`), so
    that `num_events` says only how long an epoch is.
    """

    def __init__(
        self, config: SynthesisConfig, seed: int, num_events: int, device: torch.device | str = "cpu"
    ):
        if num_events < 1:
            raise ValueError(f"num_events must be 1 or more, found {num_events}")
        self.earth = SyntheticEarth(config, seed, device)
        self.num_events = num_events

    def __len__(self) -> int:
        return self.num_events * self.earth.stations_per_event

    @overload
    def __getitem__(self, index: int) -> Record: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Record]: ...
    def __getitem__(self, index: int | slice) -> Record | Sequence[Record]:
        positions = range(len(self))[index]
        if isinstance(positions, int):
            return self.earth.records(torch.tensor([positions]))[0]
        return self.earth.records(torch.tensor(positions, dtype=torch.int64)) if len(positions) else []

    def event_keys(self) -> list[str]:
        """The event of each record: see `records.event_keys`."""
        per_event = self.earth.stations_per_event
        return [f"synthetic/{self.earth.seed}/{number // per_event}" for number in range(len(self))]

    def record_facts(self) -> RecordFacts:
        """Who the records are, without making one: the waveform of a generator is known by what makes it.

        `waveform_hash` is therefore one of the configuration, the seed and the record's number. Places
        and times stay unknown, as nothing real happened there.
        """
        made_by = f"{json.dumps(asdict(self.earth.config), sort_keys=True)}/{self.earth.seed}"
        return RecordFacts.from_rows(
            {
                "record_id": f"{key}/{number}",
                "event_id": key,
                "waveform_hash": hashlib.sha256(f"{made_by}/{number}".encode()).hexdigest()[:HASH_DIGITS],
            }
            for number, key in enumerate(self.event_keys())
        )

    def make_windows(
        self, positions: np.ndarray, random: WindowRandom, windows: WindowConfig
    ) -> WaveformBatch:
        """Windows of records of their own, as `WindowConfig` asks for them; see `loading.endless`.

        Around P they are made no longer than they are, which is what makes them fast. They are made at one of
        the Earth's sampling rates and resampled to that of `windows`.
        """
        numbers = NUMBER_BITS - (random.bits("synthetic/number") & (NUMBER_BITS >> 1))
        earth = self._earth_of(random)
        views, rate_hz = earth.views(numbers), earth.config.sampling_rate_hz
        lead, num_native = native_span(windows.num_samples, rate_hz, windows.sampling_rate_hz)
        p_s = self._first_p_s(views, random.to(self.earth.device), windows)
        heard = earth.hear(views, p_s + lead / rate_hz, num_native)
        waveform = resample_with_gaps(
            heard.recorded.waveform, rate_hz, windows.sampling_rate_hz, lead, windows.num_samples
        )
        batch = window_batch(
            heard,
            waveform,
            windows.components,
            windows.sampling_rate_hz,
            lead / rate_hz,
            self.earth.seed,
        )
        return _harmonized(batch, heard, windows.harmonization)

    def _earth_of(self, random: WindowRandom) -> SyntheticEarth:
        """The Earth as one of its sampling rates shows it: the same for a block of windows."""
        earths = self.earth.at_rates
        return earths[int(random.shared_uniform("synthetic/rate") * len(earths))]

    def _first_p_s(self, views: Views, random: WindowRandom, windows: WindowConfig) -> Tensor:
        """Where P comes after each window's start: see `WindowConfig.arrival_fraction`."""
        fall, place = random.uniform64("window", 2).unbind(1)
        noise = views.scene.sources.kind == EVENT_TYPES.index("noise")
        anywhere = (fall >= windows.arrival_fraction) | noise
        around_s = windows.margin_s + place * (windows.window_s - 2 * windows.margin_s)
        room_s = (self.earth.draw_duration_s(views.station) - windows.window_s).clamp(min=0.0)
        return torch.where(anywhere, self.earth.draw_first_p_s(views.station) - place * room_s, around_s)


def _harmonized(batch: WaveformBatch, heard: Heard, config: HarmonizationConfig) -> WaveformBatch:
    if config == HarmonizationConfig():
        return batch
    names = heard.recorded.component_names
    about: list[dict[str, Any]] = [
        {"component_names": names} | instrument_metadata(heard, row, names) for row in range(len(batch))
    ]
    return Harmonizer(config)(batch, about)
