"""A tiny task model and batches of noise with labels, for the tests of several folders."""

import os
from collections.abc import Callable

# One thread for each process, those that tests start too: the models here are so small that several threads
# wait for each other far longer than they work, and on a busy machine twenty times as long.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.foundation.backbones.seismic import SeismicConfig
from seisfm.foundation.contract import InputContract
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel


def make_model(**heads: dict) -> SeismicTaskModel:
    torch.manual_seed(0)
    encoder = SeismicConfig(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        stem_channels=[4, 8, 8],
        input_contract=InputContract().to_dict(),
    )
    return SeismicTaskModel(
        SeismicTaskConfig(encoder=encoder, heads=heads or {"picking": {}, "detection": {}})
    ).eval()


def make_batch(num_windows=2, duration_s=12.0, rate_hz=100.0, components="ZNE", seed=0, labels=None):
    generator = torch.Generator().manual_seed(seed)
    shape = (num_windows, len(components), round(duration_s * rate_hz))
    return WaveformBatch(
        waveform=torch.randn(shape, generator=generator),
        sampling_rate_hz=torch.full((num_windows,), rate_hz),
        component_names=tuple(components),
        unit=("counts",) * num_windows,
        labels=labels or {},
    )


def make_labels(p_s, s_s, p_labelled=True, s_labelled=True) -> dict[str, torch.Tensor]:
    """Labels of windows with one event each."""
    return {
        "p_arrival_s": torch.tensor(p_s)[:, None],
        "s_arrival_s": torch.tensor(s_s)[:, None],
        "p_labelled": torch.full((len(p_s),), p_labelled),
        "s_labelled": torch.full((len(p_s),), s_labelled),
    }


@pytest.fixture(scope="session")
def new_model() -> Callable[..., SeismicTaskModel]:
    return make_model


@pytest.fixture(scope="session")
def batch_of() -> Callable[..., WaveformBatch]:
    return make_batch


@pytest.fixture(scope="session")
def labels_of() -> Callable[..., dict[str, torch.Tensor]]:
    return make_labels
