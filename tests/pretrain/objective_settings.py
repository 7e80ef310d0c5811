"""Every objective in a size for tests, on windows that have everything that any of them asks for."""

import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.window_random import window_keys
from seisfm.foundation.backbones.seismic import SeismicConfig, SeismicModel
from seisfm.foundation.contract import InputContract
from seisfm.pretrain.objectives.registry import make_objective
from seisfm.pretrain.pretraining import Pretraining

NANO = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "stem_channels": [4, 8, 16]}
SETTINGS = {
    "mae": {
        "decoder_size": 16,
        "decoder_layers": 1,
        "decoder_heads": 2,
        "spectrum_weight": 0.5,
        "polarization_weight": 0.5,
    },
    "wav2vec2": {"quantizer": {"codes": 16, "dim": 16, "anneal_updates": 50}, "num_negatives": 20},
    "data2vec": {"first_decay": 0.9, "last_decay": 0.99, "decay_updates": 50},
    "clip": {"dim": 16, "hidden": 32, "text_layers": 1, "text_heads": 2},
    "supervised": {},
}
MASKED = ("mae", "wav2vec2", "data2vec")


def make_pretraining(name, model=None, seed=0, **changes):
    """An objective by name around a model, a nano encoder where none is given."""
    torch.manual_seed(seed)
    if model is None:
        model = SeismicModel(SeismicConfig(**NANO, input_contract=InputContract().to_dict()))
    return Pretraining(model, {name: make_objective(name, SETTINGS[name] | changes, model)}, {})


def make_batch(num_windows=4, num_samples=1040, seed=0):
    """Two windows an event: noise with a wave packet and its labels, a gap, and a missing component."""
    generator = torch.Generator().manual_seed(seed)
    waveform = torch.randn(num_windows, 3, num_samples, generator=generator)
    for event in range(num_windows // 2):
        waveform[2 * event : 2 * event + 2, :, 500 : 600 + 50 * event] *= 20.0 / (1 + event)
    waveform[0, 1] = torch.nan
    waveform[1, :, 300:420] = torch.nan
    number = torch.arange(num_windows)
    known = torch.ones(num_windows, dtype=torch.bool)
    return WaveformBatch(
        waveform=waveform,
        sampling_rate_hz=torch.full((num_windows,), 100.0),
        component_names=("Z", "N", "E"),
        unit=("counts",) * num_windows,
        event_id=tuple(f"event {i // 2}" for i in range(num_windows)),
        window_key=window_keys(number, seed),
        labels={
            "p_arrival_s": torch.full((num_windows, 1), 5.0) + number[:, None] * 0.01,
            "s_arrival_s": torch.full((num_windows, 1), 6.0),
            "p_labelled": known,
            "s_labelled": known,
            "magnitude": 1.0 + number,
            "distance_km": 10.0 * (1 + number),
            "event_type": torch.zeros(num_windows, dtype=torch.int64),
        },
    )


def without_data(batch):
    """The same windows with nothing observed and nothing known."""
    return batch.replace(waveform=torch.full_like(batch.waveform, torch.nan), event_id=None, labels={})
