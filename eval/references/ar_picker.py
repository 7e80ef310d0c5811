"""P and S by autoregressive models and Akaike's criterion, where STA/LTA says that something begins."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from obspy.signal.trigger import ar_pick

from ...data.batch import WaveformBatch
from ..baselines import StaLtaConfig, StaLtaPicker
from ..peaks import PeakPicks, make_picks
from .excerpts import UnusableError, excerpt

COMPONENTS = ("Z", "N", "E")


@dataclass(frozen=True, kw_only=True)
class ArPickerConfig:
    """The settings of ObsPy's AR-AIC picker (Akazawa 2004), in seconds and hertz, around a trigger.

    trigger: finds where to look. before_s, after_s: the excerpt around it.
    band_hz: of the picker's own band-pass. p_lta_s … s_sta_s: its averages. p_order, s_order: coefficients of
    its autoregressive models. p_variance_s, s_variance_s: the parts that they are fitted on.
    max_shift_s: a P further from its trigger belongs to something else and is dropped.
    """

    trigger: StaLtaConfig = field(default_factory=StaLtaConfig)
    before_s: float = 5.0
    after_s: float = 20.0
    band_hz: tuple[float, float] = (1.0, 20.0)
    p_lta_s: float = 1.0
    p_sta_s: float = 0.1
    s_lta_s: float = 4.0
    s_sta_s: float = 1.0
    p_order: int = 2
    s_order: int = 8
    p_variance_s: float = 0.1
    s_variance_s: float = 0.2
    max_shift_s: float = 1.0

    def __post_init__(self) -> None:
        if not (self.before_s > self.p_lta_s > self.p_sta_s > 0 and self.s_lta_s > self.s_sta_s > 0):
            raise ValueError(
                "short averages must be shorter than long ones, and before_s longer than p_lta_s, found "
                f"P {self.p_sta_s} and {self.p_lta_s}, S {self.s_sta_s} and {self.s_lta_s}, "
                f"before_s {self.before_s}"
            )


class ArPicker:
    """STA/LTA triggers whose P and S ObsPy's `ar_pick` places; their height is the trigger's.

    Where only the vertical is complete, P alone is picked; where it has a gap around a trigger, nothing is.
    P alone is picked too where it comes sooner than `s_lta_s` after the excerpt's start: ObsPy's search for S
    would then read what lies before its arrays in memory, and give another answer at another time.
    """

    name = "STA/LTA + AR-AIC"

    def __init__(self, config: ArPickerConfig | None = None) -> None:
        self.config = config or ArPickerConfig()
        self._trigger = StaLtaPicker(self.config.trigger)
        self.default_thresholds: Mapping[str, float] = dict.fromkeys(
            ("P", "S"), self._trigger.default_thresholds["P"]
        )

    def __call__(self, batch: WaveformBatch) -> PeakPicks:
        """The picks of each window.

        Raises ValueError where the rate is so low that no autoregressive model can be fitted.
        """
        self._check_rate(float(batch.sampling_rate_hz.min()))
        triggers = self._trigger(batch).of_phase("P")
        rows: dict[tuple[int, str, float], float] = {}
        for window, time_s, height in zip(
            triggers.window.tolist(), triggers.time_s.tolist(), triggers.probability.tolist(), strict=True
        ):
            for phase, at_s in self._around(batch, window, time_s):
                key = (window, phase, round(at_s, 4))
                rows[key] = max(rows.get(key, 0.0), height)
        windows, phases, times_s = zip(*rows, strict=True) if rows else ((), (), ())
        heights = np.array(list(rows.values()), dtype=float)
        return make_picks(
            np.array(windows, dtype=np.int64),
            np.array(phases, dtype=np.str_),
            np.array(times_s, dtype=float),
            heights,
            np.full(len(heights), np.nan),
        )

    def _check_rate(self, rate_hz: float) -> None:
        """Below it ObsPy's picker finds nothing at all, and does not say so."""
        config = self.config
        least_hz = max((config.p_order + 2) / config.p_variance_s, (config.s_order + 2) / config.s_variance_s)
        if rate_hz < least_hz - 1e-6:
            raise ValueError(
                f"autoregressive models of orders {config.p_order} and {config.s_order} in "
                f"{config.p_variance_s:g} and {config.s_variance_s:g} s need {least_hz:g} Hz or more, found "
                f"{rate_hz:g} Hz: lengthen p_variance_s and s_variance_s, or take STA/LTA + AIC"
            )

    def _around(self, batch: WaveformBatch, window: int, trigger_s: float) -> list[tuple[str, float]]:
        config, rate_hz = self.config, float(batch.sampling_rate_hz[window])
        start_s = max(trigger_s - config.before_s, 0.0)
        end_s = min(trigger_s + config.after_s, batch.num_samples / rate_hz)
        traces = self._traces(batch, window, start_s, end_s)
        # A start after the trigger's long average leaves the picker nothing to compare with.
        if traces is None or trigger_s - start_s <= config.p_lta_s:
            return []
        complete = len(traces) == len(COMPONENTS)
        first_s, second_s = self._ar_pick(traces, rate_hz, complete)
        p_s, s_s = start_s + first_s, start_s + second_s
        if abs(p_s - trigger_s) > config.max_shift_s:
            return []
        has_s = complete and s_s > p_s and first_s >= config.s_lta_s
        return [("P", p_s), ("S", s_s)] if has_s else [("P", p_s)]

    def _traces(self, batch: WaveformBatch, window: int, start_s: float, end_s: float) -> np.ndarray | None:
        """Three components, else the vertical, else nothing."""
        for components in (COMPONENTS, COMPONENTS[:1]):
            try:
                traces = excerpt(batch, window, start_s, end_s, components)
            except UnusableError:
                continue
            return traces if (np.ptp(traces, axis=1) > 0).all() else None
        return None

    def _ar_pick(self, traces: np.ndarray, rate_hz: float, with_s: bool) -> tuple[float, float]:
        """P and S after the traces' start; S means nothing without `with_s`."""
        config = self.config
        # ObsPy scales small numbers up and leaves large ones, whose picks then differ: all come small.
        traces = traces / np.abs(traces).max()
        vertical, north, east = traces if with_s else (traces[0],) * 3
        return ar_pick(
            vertical,
            north,
            east,
            rate_hz,
            config.band_hz[0],
            min(config.band_hz[1], 0.45 * rate_hz),
            config.p_lta_s,
            config.p_sta_s,
            config.s_lta_s,
            config.s_sta_s,
            config.p_order,
            config.s_order,
            config.p_variance_s,
            config.s_variance_s,
            s_pick=with_s,
        )
