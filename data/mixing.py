"""Augmentations that add something to a window: coloured noise, real noise, another earthquake.

Settings that are called like functions, as in `distortions.py`, and under the same promises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .batch import WaveformBatch
from .distortions import check_probability, check_range, choose, demeaned, log_uniform, uniform
from .records import Record
from .window_labels import EVENT_LABELS
from .windows import WindowConfig, cut_windows

SIGNAL_S = (-0.5, 4.5)
"""Where a signal's strength is measured, in seconds after P."""

FLAT_BELOW_HZ = 0.5
"""Coloured noise is white below: lower frequencies, filtered out later, would take all of the power."""

TAPER_S = 0.5
"""An added earthquake fades in and out over this, so that its edges are no steps."""


@dataclass(frozen=True, kw_only=True)
class ColouredNoise:
    """Noise with power falling as 1 / frequency^exponent (0: white Gaussian), at a signal-to-noise ratio.

    The ratio is in dB of power, of the signal around P to the added noise, over all of the station's
    components; the whole window is the signal where no P is listed. Every component gets noise of its own.
    """

    probability: float = 0.3
    snr_db: tuple[float, float] = (0.0, 30.0)
    exponent: tuple[float, float] = (0.0, 2.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("snr_db", self.snr_db)
        check_range("exponent", self.exponent)

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with noise added to some windows."""
        rows = choose(batch, generator, self.probability).nonzero().flatten()
        if len(rows) == 0:
            return batch
        shape = (len(rows), batch.waveform.shape[1], batch.num_samples)
        exponent = uniform(len(rows), self.exponent, generator)
        noise = _coloured(shape, exponent, batch.sampling_rate_hz[rows], generator)
        return _add_noise(batch, rows, noise, uniform(len(rows), self.snr_db, generator))


@dataclass(frozen=True, kw_only=True)
class RealNoise:
    """Noise that a station really recorded, at a signal-to-noise ratio (as for `ColouredNoise`).

    Component by component; one that the noise record lacks gets none. Noise records must hold no arrival:
    ValueError otherwise, because an unlisted earthquake would come in with them.
    """

    probability: float = 0.3
    snr_db: tuple[float, float] = (0.0, 30.0)

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("snr_db", self.snr_db)

    def __call__(
        self, batch: WaveformBatch, generator: torch.Generator, noise_records: Sequence[Record]
    ) -> WaveformBatch:
        """The batch with recorded noise added to some windows."""
        rows = choose(batch, generator, self.probability).nonzero().flatten()
        if len(rows) == 0:
            return batch
        noise = torch.nan_to_num(demeaned(_draw_noise(batch, len(rows), noise_records, generator)))
        return _add_noise(batch, rows, noise, uniform(len(rows), self.snr_db, generator))


@dataclass(frozen=True, kw_only=True)
class Stacking:
    """A second earthquake: another window of the batch, shifted and scaled, is added with its labels.

    amplitude_ratio: of the added signal to the window's own, around P; log-uniform.
    max_shift_s: the other window begins later by up to this, in whole samples. Never earlier: its end would
        come into view, and the coda that its label promises would be cut short.

    Only between windows of one unit and rate whose P and S are both labelled and which both show a P; the
    other must have all of its arrivals inside of its window, and data for each component that this one has.
    What cannot be told of two events together (magnitude, distance …) becomes unknown.
    """

    probability: float = 0.2
    amplitude_ratio: tuple[float, float] = (0.3, 3.0)
    max_shift_s: float = 15.0

    def __post_init__(self) -> None:
        check_probability(self)
        check_range("amplitude_ratio", self.amplitude_ratio, above=0.0)
        if not self.max_shift_s >= 0:
            raise ValueError(f"max_shift_s must not be negative, found {self.max_shift_s}")

    def __call__(self, batch: WaveformBatch, generator: torch.Generator) -> WaveformBatch:
        """The batch with an earthquake added to some windows."""
        partner = torch.randperm(len(batch), generator=generator, device=batch.device)
        rows = (choose(batch, generator, self.probability) & _stackable(batch, partner)).nonzero().flatten()
        if len(rows) == 0:
            return batch
        rate_hz = batch.sampling_rate_hz[rows]
        longest = (rate_hz * self.max_shift_s).clamp(max=batch.num_samples)
        shift = (uniform(len(rows), (0.0, 1.0), generator) * longest).round().long()
        ratio = log_uniform(len(rows), self.amplitude_ratio, generator)
        host, other = batch.select(rows), batch.select(partner[rows])
        factor = (ratio * _signal_rms(host) / _signal_rms(other).clamp(min=1e-30))[:, None, None]
        added = host.waveform + factor * _shifted(demeaned(other.waveform), shift, TAPER_S * rate_hz)
        return batch.replace(
            waveform=batch.waveform.index_copy(0, rows, added),
            labels=_stacked_labels(batch, rows, other, shift / rate_hz),
        )


def _signal_rms(batch: WaveformBatch) -> Tensor:
    """Root mean square of the observed samples around each window's first P, or of all, `(window,)`."""
    power = demeaned(batch.waveform).square()
    weight = batch.observed
    if "p_arrival_s" in batch.labels:
        time_s = torch.arange(batch.num_samples, device=batch.device) / batch.sampling_rate_hz[:, None]
        p_s = _first_p_inside_s(batch)[:, None]
        near = (time_s >= p_s + SIGNAL_S[0]) & (time_s < p_s + SIGNAL_S[1])
        seen = weight & near[:, None]
        weight = torch.where(seen.any(dim=2, keepdim=True).any(dim=1, keepdim=True), seen, weight)
    total = torch.where(weight, power, 0.0).sum(dim=(1, 2))
    return (total / weight.sum(dim=(1, 2)).clamp(min=1)).sqrt()


def _first_p_inside_s(batch: WaveformBatch) -> Tensor:
    """The first P inside of each window, NaN where there is none."""
    p_s = batch.labels["p_arrival_s"]
    inside = (p_s >= 0) & (p_s < (batch.num_samples / batch.sampling_rate_hz)[:, None])
    first = torch.where(inside, p_s, torch.inf).amin(dim=1)
    return torch.where(first.isfinite(), first, torch.nan)


def _add_noise(batch: WaveformBatch, rows: Tensor, noise: Tensor, snr_db: Tensor) -> WaveformBatch:
    """Add noise `(row, component, sample)`, 0 where none, scaled to the ratio on its live components."""
    live = (noise != 0).any(dim=-1, keepdim=True).sum(dim=1, keepdim=True).clamp(min=1)
    rms = (noise.square().mean(dim=-1, keepdim=True).sum(dim=1, keepdim=True) / live).sqrt()
    amplitude = _signal_rms(batch.select(rows)) * 10 ** (-snr_db / 20)
    scaled = noise * (amplitude[:, None, None] / rms.clamp(min=1e-30))
    return batch.replace(waveform=batch.waveform.index_add(0, rows, scaled))


def _coloured(
    shape: tuple[int, int, int], exponent: Tensor, rate_hz: Tensor, generator: torch.Generator
) -> Tensor:
    """Gaussian noise `(window, component, sample)` with a power-law spectrum."""
    num_windows, num_components, num_samples = shape
    num_frequencies = num_samples // 2 + 1
    real = torch.randn(
        num_windows, num_components, num_frequencies, 2, generator=generator, device=generator.device
    )
    frequency_hz = torch.arange(num_frequencies, device=generator.device) * rate_hz[:, None] / num_samples
    colour = frequency_hz.clamp(min=FLAT_BELOW_HZ) ** (-exponent[:, None] / 2)
    colour[:, 0] = 0.0  # no offset
    return torch.fft.irfft(torch.view_as_complex(real) * colour[:, None], n=num_samples)


def _draw_noise(
    batch: WaveformBatch, count: int, noise_records: Sequence[Record], generator: torch.Generator
) -> Tensor:
    """Random windows of noise records in the shape of the batch, `(count, component, sample)`."""
    # Records are cut on the CPU whatever the batch's device: a second generator carries the randomness over.
    seed = torch.randint(2**62, (1,), generator=generator, device=generator.device)
    cpu_generator = torch.Generator().manual_seed(int(seed))
    drawn = torch.randint(len(noise_records), (count,), generator=cpu_generator).tolist()
    records = [noise_records[i] for i in drawn]
    guilty = next((record.record_id for record in records if record.arrivals), None)
    if guilty is not None:
        raise ValueError(
            f"noise record {guilty} lists arrivals: a noise record must hold none; cut it before the first"
        )
    rate_hz = float(batch.sampling_rate_hz[0])
    windows = WindowConfig(
        window_s=batch.num_samples / rate_hz,
        sampling_rate_hz=rate_hz,
        components=batch.component_names,
        margin_s=0.0,
    )
    return cut_windows(records, windows, cpu_generator).waveform.to(batch.device)


def _stackable(batch: WaveformBatch, partner: Tensor) -> Tensor:
    """Whether each window may take its partner's waveform on top of its own, bool `(window,)`."""
    labels, itself = batch.labels, torch.arange(len(batch), device=batch.device)
    if not {"p_arrival_s", "s_arrival_s", "p_labelled", "s_labelled"} <= set(labels) or len(batch) == 0:
        return torch.zeros(len(batch), dtype=torch.bool, device=batch.device)
    complete = labels["p_labelled"] & labels["s_labelled"] & _first_p_inside_s(batch).isfinite()
    times_s = torch.cat([labels["p_arrival_s"], labels["s_arrival_s"]], dim=1)
    window_s = (batch.num_samples / batch.sampling_rate_hz)[:, None]
    all_inside = (times_s.isnan() | ((times_s >= 0) & (times_s < window_s))).all(dim=1)
    units = sorted(set(batch.unit))
    unit = torch.tensor([units.index(name) for name in batch.unit], device=batch.device)
    live = batch.observed.any(dim=-1)
    alike = (unit == unit[partner]) & (batch.sampling_rate_hz == batch.sampling_rate_hz[partner])
    covered = (live <= live[partner]).all(dim=1)
    return complete & complete[partner] & all_inside[partner] & alike & covered & (partner != itself)


def _shifted(waveform: Tensor, shift: Tensor, taper: Tensor) -> Tensor:
    """Waveforms later by `shift` samples, faded over `taper` samples at their own edges, 0 beyond these."""
    num_samples = waveform.shape[-1]
    source = torch.arange(num_samples, device=waveform.device) - shift[:, None]
    inside = (source >= 0) & (source < num_samples)
    edge = torch.minimum(source, num_samples - 1 - source) + 1
    fade = (edge / taper[:, None].clamp(min=1)).clamp(0, 1)
    index = source.clamp(0, num_samples - 1)[:, None].expand_as(waveform)
    return torch.where(inside[:, None], waveform.gather(-1, index) * fade[:, None], 0.0)


def _stacked_labels(
    batch: WaveformBatch, rows: Tensor, other: WaveformBatch, shift_s: Tensor
) -> dict[str, Tensor]:
    """The batch's labels with the added windows' events in further columns."""
    labels = {}
    for name, label in batch.labels.items():
        unknown = torch.nan if label.is_floating_point() else -1
        if name in EVENT_LABELS:
            moved = other.labels[name] + (shift_s[:, None] if name.endswith("_s") else 0)
            further = torch.full_like(label, unknown).index_copy(0, rows, moved)
            labels[name] = torch.cat([label, further], dim=1)
        elif label.dtype == torch.bool:
            labels[name] = label
        else:
            labels[name] = label.index_fill(0, rows, unknown)
    return labels
