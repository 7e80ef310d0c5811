"""Windows to augment, for the tests of augmentations."""

import dataclasses

import numpy as np
import torch
from seisfm.configs.loader import build_config
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.augmentation import AugmentationConfig, Augmenter
from seisfm.data.loading.window_labels import EVENT_LABELS
from seisfm.data.loading.window_random import WindowRandom, window_keys
from seisfm.data.loading.window_source import WindowSource
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record

RATE_HZ = 100.0
FIELDS = [entry.name for entry in dataclasses.fields(AugmentationConfig)]


def make_random(num_windows, seed=0) -> WindowRandom:
    return WindowRandom(window_keys(torch.arange(num_windows), "test", seed), seed)


def make_record(index, names=("Z", "N", "E"), quiet=False, **fields) -> Record:
    """Noise of σ = 1 about an offset of 1000, and from P at 40 s on, on all components, of σ = 20."""
    rng = np.random.default_rng(index)
    waveform = 1000 + rng.standard_normal((len(names), 9000))
    if not quiet:
        waveform[:, 4000:] += 20 * rng.standard_normal((len(names), waveform.shape[1] - 4000))
    arrivals = (
        Arrival(phase="P", time_s=40.0, polarity="positive" if index % 2 else "undecidable"),
        Arrival(phase="S", time_s=43.0),
    )
    return Record(
        **{
            "record_id": str(index),
            "waveform": waveform.astype(np.float32),
            "component_names": names,
            "sampling_rate_hz": RATE_HZ,
            "unit": "counts",
            "arrivals": () if quiet else arrivals,
            "labelled_phases": frozenset("PS"),
            **fields,
        }
    )


def make_batch(num_windows=12, seed=0, arrival_fraction=1.0, window_s=30.0) -> WaveformBatch:
    """Three in four windows with three components, the others vertical only."""
    records = [make_record(i, ("Z",) if i % 4 == 3 else ("Z", "N", "E")) for i in range(num_windows)]
    windows = WindowConfig(arrival_fraction=arrival_fraction, margin_s=window_s / 5, window_s=window_s)
    return WindowSource(records).cut(np.arange(num_windows), make_random(num_windows, seed), windows)


TRAINING = WindowSource([make_record(50 + i, ("Z",) if i % 4 == 3 else ("Z", "N", "E")) for i in range(12)])
NOISE = WindowSource(
    [make_record(100 + i, quiet=True, names=("Z",) if i % 2 else ("Z", "N", "E")) for i in range(4)]
)
DRAWN_FROM = {"stacking": (TRAINING,), "real_noise": (NOISE,)}


def only(name, probability=1.0) -> AugmentationConfig:
    chances = {field: {"probability": probability if field == name else 0.0} for field in FIELDS}
    return build_config(AugmentationConfig, chances)


DEFAULT = AugmentationConfig()
ALWAYS = AugmentationConfig(
    **{name: dataclasses.replace(getattr(DEFAULT, name), probability=1.0) for name in FIELDS}
)


def augmented(config, batch, random) -> WaveformBatch:
    return Augmenter(config, TRAINING, NOISE)(batch, random)


def assert_same(first, second):
    """To the bit, except for columns of events in which nothing stands."""
    torch.testing.assert_close(first.waveform, second.waveform, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(first.observed, second.observed)
    assert torch.equal(first.sampling_rate_hz, second.sampling_rate_hz)
    assert set(first.labels) == set(second.labels)
    width = max(each.labels[name].shape[1] for each in (first, second) for name in EVENT_LABELS)
    for name in first.labels:
        ours, theirs = (padded(each.labels[name], name, width) for each in (first, second))
        torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)


def padded(label, name, width):
    if name not in EVENT_LABELS:
        return label
    unknown = torch.nan if label.is_floating_point() else -1
    return torch.nn.functional.pad(label, (0, width - label.shape[1]), value=unknown)
