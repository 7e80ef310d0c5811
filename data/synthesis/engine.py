"""The synthetic Earth: record number in, labelled seismogram out, thousands at a time, on any device."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from ..batch import WaveformBatch
from ..loading.window_random import WindowRandom, window_keys
from ..records import Record
from .config import SynthesisConfig
from .disturbances import disturb
from .draws import uniform
from .heard import Heard
from .labelled_records import records_of
from .labelled_windows import window_batch
from .labels import ArrivalTable, arrival_table
from .motion import ground_motion
from .plan import BRANCHES
from .recorder import record
from .snr import phase_snr_db, scale_noise_to_snr
from .station_noise import noise_motion
from .views import Views, draw_views

FIRST_P = BRANCHES.index("P")
NEVER = 1e9
"""Stands for the onset, in seconds, of an event that does not happen."""


class SyntheticEarth:
    """A world of its own: every record that it can show has a number.

    A record depends on the configuration, the seed and its number alone: it is the same in any batch, process
    or device, to float tolerance.
    """

    def __init__(self, config: SynthesisConfig, seed: int, device: torch.device | str = "cpu"):
        self.config = config
        self.seed = seed
        self.device = torch.device(device)
        self.at_rates: tuple[SyntheticEarth, ...] = (self,)
        if config.also_hz:
            self.at_rates = tuple(SyntheticEarth(config.at_rate(hz), seed, device) for hz in config.rates_hz)

    @property
    def stations_per_event(self) -> int:
        """So many numbers one after the other are views of one event."""
        return self.config.stations_per_event[1]

    def batch(self, numbers: Tensor) -> WaveformBatch:
        """Windows as long as the longest record, with P where `config.pre_event_s` has it, and all labels.

        numbers: int64 `(window,)`. See `window_labels` for the labels. Windows of a batch have one rate, the
        first where there are several.
        """
        heard = self._whole(numbers)
        rate_hz, recorded = self.config.sampling_rate_hz, heard.recorded
        return window_batch(heard, recorded.waveform, recorded.component_names, rate_hz, 0.0, self.seed)

    def records(self, numbers: Tensor) -> list[Record]:
        """Records of random lengths with the waveforms of `batch`, all arrivals and metadata.

        Where there are several sampling rates, each event has one of them.
        """
        if len(self.at_rates) > 1:
            return self._records_at_rates(numbers)
        heard = self._whole(numbers)
        duration_s = self.draw_duration_s(heard.views.station)
        return records_of(heard, duration_s, self.config.sampling_rate_hz, self.seed)

    def _records_at_rates(self, numbers: Tensor) -> list[Record]:
        events = numbers.div(self.stations_per_event, rounding_mode="floor")
        draw = WindowRandom(window_keys(events, "event", self.seed)).uniform("record/rate")
        which = (draw * len(self.at_rates)).long()
        records: dict[int, Record] = {}
        for number, earth in enumerate(self.at_rates):
            rows = (which == number).nonzero().flatten()
            if len(rows):
                records |= zip(rows.tolist(), earth.records(numbers[rows]), strict=True)
        return [records[row] for row in range(len(numbers))]

    def _whole(self, numbers: Tensor) -> Heard:
        views = self.views(numbers)
        num_samples = round(self.config.duration_s[1] * self.config.sampling_rate_hz)
        return self.hear(views, self.draw_first_p_s(views.station), num_samples)

    def views(self, numbers: Tensor) -> Views:
        """What is drawn for some record numbers, int64 `(record,)`, before a waveform is made."""
        return draw_views(numbers.to(self.device), self.config, self.seed)

    def hear(self, views: Views, first_p_s: Tensor, num_samples: int) -> Heard:
        """The records of some views.

        first_p_s: float64 `(record,)`, where P comes after the first sample; also outside of the record.
        """
        station, config = views.station, self.config
        first_s = first_p_s.to(self.device).double()
        arrivals = self._arrivals(views, first_s)
        motion = self._motion(views, first_s, num_samples)
        later, again_s = self._second(views, first_s)
        duration_s = num_samples / config.sampling_rate_hz
        rows = (again_s < duration_s).nonzero().flatten()
        if len(rows):
            motion.index_add_(0, rows, self._motion(later.rows(rows), again_s[rows], num_samples))
        second = self._arrivals(later, torch.where(again_s < NEVER, again_s, torch.nan))
        p_s, s_s = _inside(arrivals.of("P"), duration_s), _inside(arrivals.of("S"), duration_s)
        again = (
            _inside(second.of("P"), duration_s).isfinite() | _inside(second.of("S"), duration_s).isfinite()
        )
        noise = self._noise(views, num_samples, quiet=p_s.isnan() & s_s.isnan() & ~again)
        snr_db = phase_snr_db(motion, noise, p_s, s_s, config.sampling_rate_hz)
        noise, snr_db = _quieter(noise, snr_db, config.min_snr_db)
        gain = views.scene.instrument.gain
        recorded = record(motion, noise, gain, station, config.sampling_rate_hz, config.recorder)
        return Heard(
            views=views,
            recorded=recorded,
            arrivals=(arrivals, second),
            second_magnitude=later.scene.sources.magnitude.where(again_s < NEVER, torch.nan),
            origin_s=_origin_s(views, first_s),
            snr_db=snr_db,
        )

    def draw_first_p_s(self, station: WindowRandom) -> Tensor:
        """Where P comes in a record of its own, float64 `(record,)`."""
        return uniform(station, "record/pre_event", self.config.pre_event_s).double()

    def draw_duration_s(self, station: WindowRandom) -> Tensor:
        """The length of a record of its own, float64 `(record,)`."""
        return uniform(station, "record/duration", self.config.duration_s).double()

    def _arrivals(self, views: Views, first_p_s: Tensor) -> ArrivalTable:
        return arrival_table(views.scene.waves, views.scene.sources, _origin_s(views, first_p_s))

    def _motion(self, views: Views, first_p_s: Tensor, num_samples: int) -> Tensor:
        origin_s = _origin_s(views, first_p_s)
        return ground_motion(
            views.scene, origin_s, num_samples, views.event, views.station, self.config.motion
        )

    def _second(self, views: Views, first_p_s: Tensor) -> tuple[Views, Tensor]:
        """The same fault once more, of another size, and its P; `NEVER` where there is no second event."""
        station, config = views.station, self.config
        gap_s = uniform(station, "second/gap", config.second_event_s)
        happens = station.uniform("second/share") < config.second_event_share
        magnitude = views.scene.sources.magnitude + 0.1 + 0.4 * station.normal("second/magnitude")
        later = views.with_magnitude(magnitude.clamp(*config.sources.magnitude), config)
        later = replace(later, event=views.event.derive("second"), station=views.station.derive("second"))
        return later, torch.where(happens, first_p_s + gap_s, NEVER)

    def _noise(self, views: Views, num_samples: int, quiet: Tensor) -> Tensor:
        """The station's noise with what disturbs it, `(record, component, sample)`.

        quiet: bool `(record,)`, without an arrival.
        """
        config, rate_hz = self.config, self.config.sampling_rate_hz
        response = views.scene.instrument.response
        num_components = config.recorder.num_noise_components
        noise = noise_motion(views.noise, views.station, num_samples, rate_hz, response, num_components)
        return disturb(noise, views.station, rate_hz, config.disturbances, quiet)[0]


def _origin_s(views: Views, first_p_s: Tensor) -> Tensor:
    return first_p_s - views.scene.waves.travel_time_s[:, FIRST_P]


def _inside(time_s: Tensor, duration_s: float) -> Tensor:
    """Times that lie in the record, NaN for others."""
    return time_s.where((time_s >= 0) & (time_s < duration_s), torch.nan)


def _quieter(noise: Tensor, snr_db: Tensor, least_db: float) -> tuple[Tensor, Tensor]:
    """Noise over which P stands out enough, S where there is no P: what nobody could see is no label."""
    decisive = snr_db[:, 0].where(snr_db[:, 0].isfinite(), snr_db[:, 1])
    wanted = decisive.clamp(min=least_db)
    return scale_noise_to_snr(noise, decisive, wanted), snr_db + (wanted - decisive).nan_to_num(0.0)[:, None]
