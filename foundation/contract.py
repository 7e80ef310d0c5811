"""The input contract: exactly what a model wants to be fed, saved with it and enforced wherever it runs.

This is the only place where waveforms are made ready for a network. Training, evaluation and use all call
`InputContract.prepare` from inside the model, so that they cannot disagree.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import torch
from scipy.fft import next_fast_len
from torch import Tensor

from ..configs.loader import build_config
from ..data.batch import COMPONENTS, UNITS, WaveformBatch
from ..data.instruments.resampling import rate_ratio, resample, resample_observed
from ..data.masks import count_true, first_true, surely_all_true, zeroed


class ContractError(ValueError):
    """A model without an input contract, or an input that breaks it."""


@dataclass(frozen=True, kw_only=True)
class Normalization:
    """How amplitudes are scaled.

    scope: station (the components of a station share one scale, so that magnitude and the ratio of the
        horizontals survive) or component (each by itself; for comparison with published models).
    statistic: std or peak of the observed samples.
    epsilon: a component whose statistic is not above this, in input units, is dead and counts as missing.
    gain_back: the network is told what was divided out. Without it nothing of an amplitude is left; for
        comparison with published models.
    """

    scope: str = "station"
    statistic: str = "std"
    epsilon: float = 1e-20
    gain_back: bool = True

    def __post_init__(self) -> None:
        if self.scope not in ("station", "component"):
            raise ContractError(f"normalization scope must be station or component, found {self.scope!r}")
        if self.statistic not in ("std", "peak"):
            raise ContractError(f"normalization statistic must be std or peak, found {self.statistic!r}")


@dataclass(frozen=True, kw_only=True)
class WindowRange:
    """Window lengths in seconds that a model was trained for."""

    min: float = 10.0
    max: float = 300.0
    preferred: float = 30.0


@dataclass(frozen=True, kw_only=True)
class PreparedInput:
    """What the network itself sees.

    waveform: float32 `(window, component, sample)` at the model's rate, normalized, 0 where not observed.
    observed: bool, likewise.
    log_gain: float32 `(window,)`, log10 of the scale that was divided out, in input units; 0 where nothing
        was observed, and without `gain_back`. With component scope, the mean over the live components.
    unit_index: int64 `(window,)`, position in `UNITS`.
    scale: float32 `(window, component, 1)`, what the waveform was divided by.
    num_samples: samples at the model's rate before padding to whole tokens.
    """

    waveform: Tensor
    observed: Tensor
    log_gain: Tensor
    unit_index: Tensor
    scale: Tensor
    num_samples: int


@dataclass(frozen=True, kw_only=True)
class InputContract:
    """What a model takes.

    sampling_rates_hz: lowest and highest rate of an input. Inside, everything runs at `model_rate_hz`;
        other rates are resampled with an anti-alias filter.
    components: names of the input rows, in order. A component that is not given is missing, never zero.
    window_s: lengths that the model was trained for.
    units: those of `UNITS` that the model takes.
    highpass_hz: half-power corner of the high-pass, or None.
    """

    sampling_rates_hz: tuple[float, float] = (20.0, 500.0)
    model_rate_hz: float = 100.0
    components: tuple[str, ...] = COMPONENTS
    window_s: WindowRange = field(default_factory=WindowRange)
    normalization: Normalization = field(default_factory=Normalization)
    units: tuple[str, ...] = UNITS
    highpass_hz: float | None = 1.0

    def to_dict(self) -> dict[str, Any]:
        """As plain JSON values, for `config.json`."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, settings: dict[str, Any] | None, source: str) -> InputContract:
        """The contract that a configuration carries.

        Raises ContractError where there is none or it is incomplete: a model whose input is guessed at gives
        wrong answers in silence.
        """
        if not settings:
            raise ContractError(
                f"{source} has no input_contract: without it nobody knows the rates, components, units and "
                "scaling that the weights expect. Add the contract that the model was trained with to its "
                "config.json"
            )
        absent = {f.name for f in dataclasses.fields(cls)} - set(settings)
        if absent:
            raise ContractError(
                f"{source}: the input_contract lacks {sorted(absent)}; nothing is filled in by guess"
            )
        try:
            return build_config(cls, dict(settings), source=f"{source}: input_contract")
        except ValueError as error:
            raise ContractError(str(error)) from error

    def check(self, batch: WaveformBatch) -> None:
        """Raise ContractError where a batch is outside of what the model was trained for."""
        low, high = self.sampling_rates_hz
        rates = batch.sampling_rate_hz
        if not bool(((rates >= low * 0.999) & (rates <= high * 1.001)).all()):
            raise ContractError(
                f"sampling rate must be {low:g} to {high:g} Hz, found {float(rates.min()):g} to "
                f"{float(rates.max()):g} Hz: resample first, or use a model trained for this rate"
            )
        duration_s = batch.num_samples / rates
        shortest, longest = self.window_s.min, self.window_s.max
        if not bool(((duration_s >= shortest * 0.99) & (duration_s <= longest * 1.01)).all()):
            raise ContractError(
                f"windows must last {shortest:g} to {longest:g} s, found {float(duration_s.min()):.2f} to "
                f"{float(duration_s.max()):.2f} s: cut or pad them with NaN"
            )
        bad_units = sorted(set(batch.unit) - set(self.units))
        if bad_units:
            raise ContractError(
                f"unit must be one of {self.units}, found {bad_units}: remove the response first"
            )
        bad_components = sorted(set(batch.component_names) - set(self.components))
        if bad_components:
            raise ContractError(f"the model takes components {self.components}, found also {bad_components}")

    def num_samples(self, batch: WaveformBatch) -> int:
        """Samples at the model's rate of a batch's longest window."""
        ratios = [rate_ratio(rate, self.model_rate_hz) for rate in batch.sampling_rate_hz.tolist()]
        return _longest(batch.num_samples, ratios)

    def prepare(self, batch: WaveformBatch) -> PreparedInput:
        """Demean, resample, high-pass and scale a batch, and say what is missing.

        Statistics come from observed samples alone, so that nothing behind a gap or a mask leaks. Windows of
        one batch may have different rates; shorter ones end in unobserved samples.
        """
        self.check(batch)
        batch = batch.with_components(self.components)
        waveform, observed, count = _centred(batch.waveform, batch.observed)
        resampled, observed = self._to_model_rate(waveform, observed, batch.sampling_rate_hz)
        if resampled is not waveform:
            waveform, count = resampled, count_true(observed)
        if self.highpass_hz is not None:
            waveform = _highpass(waveform, observed, self.highpass_hz, self.model_rate_hz)
        amplitude = self._amplitude(waveform, count)
        alive = amplitude > self.normalization.epsilon
        observed = _where(observed, alive)
        if self.normalization.scope == "station":
            amplitude = self._station_amplitude(amplitude, count * alive)
        is_told = alive.any(dim=1).squeeze(-1) & self.normalization.gain_back
        scale = torch.where(amplitude > self.normalization.epsilon, amplitude, 1.0)
        log_scale = torch.where(alive, scale.log10(), 0.0).sum(dim=1) / alive.sum(dim=1).clamp(min=1)
        return PreparedInput(
            waveform=waveform.div_(torch.where(alive, scale, torch.inf)),
            observed=observed,
            log_gain=torch.where(is_told, log_scale.squeeze(-1), 0.0),
            unit_index=torch.tensor([UNITS.index(unit) for unit in batch.unit], device=batch.device),
            scale=scale.expand(-1, len(self.components), -1),
            num_samples=waveform.shape[-1],
        )

    def _to_model_rate(self, waveform: Tensor, observed: Tensor, rates_hz: Tensor) -> tuple[Tensor, Tensor]:
        """Each window at the model's rate, padded at its end as unobserved where lengths come to differ."""
        of_rate = {rate: rate_ratio(rate, self.model_rate_hz) for rate in set(rates_hz.tolist())}
        if all(ratio == 1 for ratio in of_rate.values()):
            return waveform, observed
        ratios = [of_rate[rate] for rate in rates_hz.tolist()]
        num_samples = _longest(waveform.shape[-1], ratios)
        resampled = waveform.new_zeros(*waveform.shape[:-1], num_samples)
        seen = observed.new_zeros(resampled.shape)
        for ratio in set(ratios):
            rows = torch.tensor(
                [i for i, other in enumerate(ratios) if other == ratio], device=waveform.device
            )
            part = resample(waveform[rows], 1.0, float(ratio))
            resampled[rows, :, : part.shape[-1]] = part
            seen[rows, :, : part.shape[-1]] = resample_observed(observed[rows], 1.0, float(ratio))
        return resampled, seen

    def _amplitude(self, waveform: Tensor, count: Tensor) -> Tensor:
        """The statistic of each component by itself, `(window, component, 1)`; 0 stands where unobserved."""
        if self.normalization.statistic == "peak":
            highest, lowest = waveform.amax(dim=-1, keepdim=True), waveform.amin(dim=-1, keepdim=True)
            return torch.maximum(highest, -lowest)
        return torch.linalg.vector_norm(waveform, dim=-1, keepdim=True) / count.clamp(min=1).sqrt()

    def _station_amplitude(self, amplitude: Tensor, count: Tensor) -> Tensor:
        """One amplitude a station, `(window, 1, 1)`: quadratic mean, or largest peak, of live components."""
        if self.normalization.statistic == "peak":
            return amplitude.amax(dim=1, keepdim=True)
        power = (amplitude.square() * count).sum(dim=1, keepdim=True)
        return (power / count.sum(dim=1, keepdim=True).clamp(min=1)).sqrt()


def _longest(num_samples: int, ratios: list[Fraction]) -> int:
    return max(math.ceil(num_samples * ratio) for ratio in ratios)


def _centred(waveform: Tensor, observed: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Each component without its mean and 0 where unobserved; what is observed; and of how many samples.

    A component of one constant is dead: not observed. That is asked before the mean is taken away, since a
    dead channel's offset leaves rounding noise behind, and a station with no other channel would have that
    noise blown up to full scale. The first sample goes first, to which a constant is equal to the bit.
    """
    waveform = zeroed(waveform - waveform.gather(-1, first_true(observed)), observed)
    moves = waveform.amax(dim=-1, keepdim=True) > waveform.amin(dim=-1, keepdim=True)
    count = count_true(observed) * moves
    waveform = zeroed(waveform.sub_(waveform.sum(dim=-1, keepdim=True) / count.clamp(min=1)), observed)
    return waveform, _where(observed, moves), count


def _where(observed: Tensor, components: Tensor) -> Tensor:
    """`observed` without the components, `(window, component, 1)`, for which the second mask is false."""
    return observed if surely_all_true(components) else observed & components


def _highpass(waveform: Tensor, observed: Tensor, corner_hz: float, rate_hz: float) -> Tensor:
    """Subtract a Gaussian-weighted local mean of the observed samples: zero phase, and at home with gaps.

    A Gaussian of σ seconds passes exp(−2π²σ²f²); its complement has half power at f = 0.2494/σ.
    """
    sigma = 0.2494 / corner_hz * rate_hz
    flat = waveform.flatten(0, 1)
    weight = observed.flatten(0, 1)
    complete = weight.all(dim=-1)
    # Most components are either complete or absent: their weights are known once, without a transform each.
    local_weight = _gaussian_sum(torch.ones_like(flat[:1]), sigma).expand_as(flat).clone()
    gappy = weight.any(dim=-1) & ~complete
    if bool(gappy.any()):
        local_weight[gappy] = _gaussian_sum(weight[gappy].to(flat.dtype), sigma)
    smooth = torch.zeros_like(flat)
    alive = weight.any(dim=-1)
    if bool(alive.any()):
        smooth[alive] = _gaussian_sum(flat[alive], sigma) / local_weight[alive].clamp(min=1e-6)
    return zeroed(waveform - smooth.reshape(waveform.shape), observed)


def _gaussian_sum(rows: Tensor, sigma: float) -> Tensor:
    """Rows `(row, sample)` convolved with a unit-area Gaussian of `sigma` samples; zero outside."""
    reach = math.ceil(3.5 * sigma)
    offset = torch.arange(-reach, reach + 1, device=rows.device, dtype=rows.dtype)
    kernel = torch.exp(-0.5 * (offset / sigma).square())
    kernel = kernel / kernel.sum()
    length = next_fast_len(rows.shape[-1] + 2 * reach, real=True)
    spectrum = torch.fft.rfft(rows, n=length) * torch.fft.rfft(kernel, n=length)
    return torch.fft.irfft(spectrum, n=length)[..., reach : reach + rows.shape[-1]]
