"""Picks that do not depend on where the grid of windows happened to begin."""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..eval.peaks import PeakPicks, make_picks, pick_peaks
from .windows import batched

MAX_ITERATIONS = 4
"""Rounds, the first of them coarse, after which a pick that still moves is left where it is."""

COARSE = 4
"""Of the windows of a round, the first round looks at one in so many."""

SETTLED = 8
"""A pick has settled where it moved by no more samples than one in so many of its windows: the next round
would look at all but those again."""

SEARCH_S = 0.5
"""How far from the middle of its window a pick may have moved in one round."""


@dataclass(frozen=True, kw_only=True)
class Refinement:
    """Where candidates end up when each is looked at from the middle of a window of its own.

    look: from first samples of some windows, int64 `(window,)`, to what tells their probabilities
        `(window, class, sample)` after they are moved by some samples. It is asked about at most `batch_size`
        windows at once.
    window_samples, sampling_rate_hz: of those windows.
    shifts: samples by which each window is moved, in turn; the answer is the mean curve. A network with
        tokens puts its peaks with a slight regard to where their borders lie: these spread over one token.
    thresholds: by phase; a candidate that falls below in the middle of its window is dropped.
    """

    look: Callable[[np.ndarray], Callable[[int], Tensor]]
    window_samples: int
    sampling_rate_hz: float
    shifts: tuple[int, ...]
    thresholds: dict[str, float]
    min_separation_s: float
    batch_size: int

    def __call__(self, candidates: PeakPicks) -> PeakPicks:
        """The candidates' final times (seconds after the record's first sample), probabilities and widths.

        Each is put into the middle of a window and moved to the highest peak of its phase within `SEARCH_S`,
        until it settles: then what the network sees is fixed by the pick itself.
        """
        parts = [self._of_phase(candidates.of_phase(phase), phase) for phase in self.thresholds]
        columns = [np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS]
        return make_picks(np.zeros(len(columns[0]), dtype=np.int64), *columns)

    def _of_phase(self, candidates: PeakPicks, phase: str) -> PeakPicks:
        centre = np.rint(candidates.time_s * self.sampling_rate_hz).astype(np.int64)
        done: list[PeakPicks] = []
        for iteration in range(MAX_ITERATIONS):
            # Candidates that met on the way are one.
            centre = np.unique(centre)
            if not len(centre):
                break
            peaks, reached = self._look(
                centre, phase, self.shifts[::COARSE] if iteration == 0 else self.shifts
            )
            moved = np.rint(peaks.time_s * self.sampling_rate_hz).astype(np.int64)
            settled = np.abs(moved - reached) <= len(self.shifts) // SETTLED
            stays = settled & (iteration > 0) | (iteration == MAX_ITERATIONS - 1)
            done.append(peaks.select(stays))
            centre = moved[~stays]
        return _highest(done, phase, self.min_separation_s)

    def _look(self, centre: np.ndarray, phase: str, shifts: tuple[int, ...]) -> tuple[PeakPicks, np.ndarray]:
        """The highest peak near each middle, where there is one, and the middle that it was found from."""
        reach = round(SEARCH_S * self.sampling_rate_hz)
        near = torch.cat([self._near(some, shifts, reach) for some in batched(centre, self.batch_size)])
        found = pick_peaks(
            near, self.sampling_rate_hz, {phase: self.thresholds[phase]}, min_separation_s=2 * SEARCH_S + 1.0
        )
        reached = centre[found.window]
        times = found.time_s + (reached - reach - 1) / self.sampling_rate_hz
        picks = make_picks(found.window, found.phase, times, found.probability, found.time_uncertainty_s)
        return picks, reached

    def _near(self, centre: np.ndarray, shifts: tuple[int, ...], reach: int) -> Tensor:
        """The mean curves up to `reach` from the middles, and a sample further on either side."""
        half = self.window_samples // 2
        look, near = self.look(centre - half), torch.zeros(())
        for shift in shifts:
            curves = look(shift)
            near = near + curves[..., half - shift - reach - 1 : half - shift + reach + 2] / len(shifts)
        return near


_COLUMNS = ("phase", "time_s", "probability", "time_uncertainty_s")


def _highest(parts: list[PeakPicks], phase: str, min_separation_s: float) -> PeakPicks:
    """Picks of one phase, of which the more probable one stays where two are closer than the separation."""
    columns = {name: np.concatenate([getattr(p, name) for p in parts] or [np.zeros(0)]) for name in _COLUMNS}
    kept: list[tuple[float, int]] = []
    for index in np.lexsort((columns["time_s"], -columns["probability"])).tolist():
        time_s = float(columns["time_s"][index])
        place = bisect.bisect(kept, (time_s, index))
        neighbours = kept[max(place - 1, 0) : place + 1]
        if all(abs(time_s - other) >= min_separation_s for other, _ in neighbours):
            kept.insert(place, (time_s, index))
    chosen = np.array([index for _, index in kept], dtype=np.int64)
    return make_picks(
        np.zeros(len(chosen), dtype=np.int64),
        np.full(len(chosen), phase),
        *(columns[name][chosen] for name in _COLUMNS[1:]),
    )
