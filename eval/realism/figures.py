"""Real and synthetic records side by side: features, envelopes, spectra, and twelve records to guess from."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

from ..figures import BLUE, ORANGE, add_legend, new_figure
from .excerpts import COMPONENTS, Excerpt
from .features import NOISE_GUARD_S, P_SPAN_S, S_SPAN_S, power_spectrum

FloatArray = NDArray[np.float64]
COLORS = {"real": BLUE, "synthetic": ORANGE}
INK = "#22262b"


def feature_figure(features: pd.DataFrame, count: int = 15) -> Figure:
    """Medians and quartiles of the features that tell most by themselves, in units of the real ones' spread.

    features: the table of `Separation`.
    """
    telling = features.assign(distance=(features["auc_alone"] - 0.5).abs()).nlargest(count, "distance")
    figure, (axis,) = new_figure(1.0 + 0.36 * len(telling))
    spread = (telling["real_q75"] - telling["real_q25"]).to_numpy() + 1e-9
    rows = np.arange(len(telling))
    for kind, offset in (("real", -0.13), ("synthetic", 0.13)):
        low, middle, high = (
            (telling[f"{kind}_{name}"] - telling["real_median"]).to_numpy() / spread
            for name in ("q25", "median", "q75")
        )
        axis.errorbar(
            middle, rows + offset, xerr=[middle - low, high - middle], fmt="o", color=COLORS[kind], label=kind
        )
    labels = [f"{row.feature} ({row.auc_alone:.2f})" for row in telling.itertuples()]
    axis.set_yticks(rows, labels, fontsize=9)
    axis.invert_yaxis()
    axis.set_xlabel("difference from the real median, in real interquartile ranges")
    add_legend(axis)
    return figure


def envelope_figure(real: Sequence[Excerpt], synthetic: Sequence[Excerpt]) -> Figure:
    """Median envelope (and quartiles) about P and about S, in dB of each record's largest amplitude."""
    figure, axes = new_figure(5.0, rows=2)
    for axis, phase in zip(axes, ("P", "S"), strict=True):
        before_s, after_s = (1.0, 4.0) if phase == "P" else (1.0, 9.0)
        for kind, excerpts in (("real", real), ("synthetic", synthetic)):
            levels = np.stack([_envelope_db(one, phase, before_s, after_s) for one in excerpts])
            time_s = np.linspace(-before_s, after_s, levels.shape[1])
            _band(axis, time_s, levels, kind)
        axis.set_xlabel(f"seconds after {phase}")
        axis.set_ylabel("dB")
    add_legend(axes[0])
    return figure


def _envelope_db(excerpt: Excerpt, phase: str, before_s: float, after_s: float) -> FloatArray:
    rate_hz = excerpt.sampling_rate_hz
    power = uniform_filter1d(np.square(excerpt.waveform).sum(axis=0), round(0.1 * rate_hz))
    onset = excerpt.p_sample if phase == "P" else excerpt.s_sample
    part = power[onset - round(before_s * rate_hz) : onset + round(after_s * rate_hz)]
    return 10.0 * np.log10(part / power.max() + 1e-9)


def spectra_figure(real: Sequence[Excerpt], synthetic: Sequence[Excerpt]) -> Figure:
    """Median spectra (and quartiles) of noise, P and S, each as shares of its own power."""
    spans: dict[str, Callable[[Excerpt, float], slice]] = {
        "noise": lambda e, rate: slice(0, e.p_sample - round(NOISE_GUARD_S * rate)),
        "P": lambda e, rate: slice(e.p_sample, min(e.s_sample, e.p_sample + round(P_SPAN_S * rate))),
        "S": lambda e, rate: slice(e.s_sample, e.s_sample + round(S_SPAN_S * rate)),
    }
    figure, axes = new_figure(7.0, rows=3, sharex=True)
    for axis, (name, span) in zip(axes, spans.items(), strict=True):
        for kind, excerpts in (("real", real), ("synthetic", synthetic)):
            grid_hz = np.geomspace(1.0, 40.0, 60)
            levels = [_shares_db(e.waveform[:, span(e, e.sampling_rate_hz)], e, grid_hz) for e in excerpts]
            _band(axis, grid_hz, np.stack(levels), kind)
        axis.set_xscale("log")
        axis.set_ylabel(f"{name}, dB")
    axes[-1].set_xlabel("Hz")
    add_legend(axes[0])
    return figure


def _shares_db(part: FloatArray, excerpt: Excerpt, grid_hz: FloatArray) -> FloatArray:
    frequency_hz, power = power_spectrum(part, excerpt.sampling_rate_hz)
    inside = (frequency_hz >= grid_hz[0]) & (frequency_hz <= grid_hz[-1])
    return 10.0 * np.log10(np.interp(grid_hz, frequency_hz, power / power[inside].mean()) + 1e-9)


def _band(axis: Axes, across: FloatArray, levels: FloatArray, kind: str) -> None:
    low, middle, high = np.percentile(levels, [25, 50, 75], axis=0)
    axis.plot(across, middle, color=COLORS[kind], label=f"{kind} ({len(levels)})")
    axis.fill_between(across, low, high, color=COLORS[kind], alpha=0.2, linewidth=0)


def twelve_figure(excerpts: Sequence[Excerpt], before_p_s: float = 3.5, after_p_s: float = 10.0) -> Figure:
    """Numbered records, two a row, each with Z, N and E from top to bottom and nothing but the waveforms.

    Each record is scaled by its largest amplitude, all components alike.
    """
    figure, axes = new_figure(1.9 * ((len(excerpts) + 1) // 2), rows=(len(excerpts) + 1) // 2, columns=2)
    for number, (axis, excerpt) in enumerate(zip(axes, excerpts, strict=False), 1):
        rate_hz = excerpt.sampling_rate_hz
        begin, end = (excerpt.p_sample + round(s * rate_hz) for s in (-before_p_s, after_p_s))
        part = excerpt.waveform[:, begin:end] / np.abs(excerpt.waveform[:, begin:end]).max()
        time_s = np.arange(part.shape[1]) / rate_hz
        for row, trace in enumerate(part):
            axis.plot(time_s, trace - 1.4 * row, color=INK, linewidth=0.5)
        axis.set_yticks([-1.4 * row for row in range(3)], COMPONENTS, fontsize=8)
        axis.set_title(str(number), loc="left", fontsize=11)
        axis.tick_params(axis="x", labelsize=8)
    for axis in axes[len(excerpts) :]:
        axis.set_visible(False)
    return figure
