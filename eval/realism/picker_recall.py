"""Is a synthetic record as easy to pick as a real one of the same SNR? The recall of rule-based pickers."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
import torch

from ...data.batch import WaveformBatch
from ..baselines import WindowPicker
from .excerpts import COMPONENTS, Excerpt


def recall_table(
    sides: Mapping[str, Sequence[Excerpt]],
    pickers: Sequence[WindowPicker],
    snr_db: Mapping[str, np.ndarray],
    edges_db: Sequence[float] = (10.0, 20.0, 30.0),
    tolerances_s: Sequence[float] = (0.1, 0.5),
) -> pd.DataFrame:
    """Share of P and S that each picker finds, by kind of record and SNR, at its own default thresholds.

    sides: excerpts by kind, such as real and synthetic. snr_db: of each excerpt, by kind. edges_db: the bins
    end at these. `picker, phase, tolerance_s, kind, snr_db, records, recall`.
    """
    rows = []
    for picker in pickers:
        for kind, excerpts in sides.items():
            off_s = {phase: _nearest_off_s(picker, excerpts, phase) for phase in ("P", "S")}
            part = np.digitize(snr_db[kind], edges_db)
            for phase, name, inside in _bins(off_s, part, edges_db):
                for tolerance_s in tolerances_s:
                    hits = off_s[phase][inside] <= tolerance_s
                    rows.append(
                        {
                            "picker": picker.name,
                            "phase": phase,
                            "tolerance_s": tolerance_s,
                            "kind": kind,
                            "snr_db": name,
                            "records": int(inside.sum()),
                            "recall": float(hits.mean()) if inside.any() else np.nan,
                        }
                    )
    return pd.DataFrame(rows)


def _bins(
    phases: Mapping[str, np.ndarray], part: np.ndarray, edges_db: Sequence[float]
) -> list[tuple[str, str, np.ndarray]]:
    names = [
        f"below {edges_db[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges_db)),
        f"above {edges_db[-1]:g}",
    ]
    found = []
    for phase in phases:
        found.append((phase, "all", np.ones(len(part), dtype=bool)))
        found += [(phase, name, part == number) for number, name in enumerate(names)]
    return found


def _nearest_off_s(picker: WindowPicker, excerpts: Sequence[Excerpt], phase: str) -> np.ndarray:
    """How far the nearest pick of a phase lies from the label, infinite without any, `(excerpt,)`."""
    off_s = np.full(len(excerpts), np.inf)
    for number, excerpt in enumerate(excerpts):
        picks = picker(excerpt_batch(excerpt)).above(picker.default_thresholds).of_phase(phase)
        onset = excerpt.p_sample if phase == "P" else excerpt.s_sample
        if len(picks):
            off_s[number] = np.abs(picks.time_s - onset / excerpt.sampling_rate_hz).min()
    return off_s


def excerpt_batch(excerpt: Excerpt) -> WaveformBatch:
    """A batch of one window: the whole excerpt."""
    return WaveformBatch(
        waveform=torch.from_numpy(excerpt.waveform[None]).float(),
        sampling_rate_hz=torch.tensor([excerpt.sampling_rate_hz]),
        component_names=COMPONENTS,
        unit=("unknown",),
    )
