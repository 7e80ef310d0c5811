"""A saved base, and the settings of a run that takes a second."""

import pytest
from seisfm.data.synthesis import SynthesisConfig


@pytest.fixture(scope="session")
def base(new_model, tmp_path_factory):
    """The folder of a tiny task model."""
    folder = tmp_path_factory.mktemp("models") / "base"
    new_model().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def encoder(new_model, tmp_path_factory):
    """The folder of a tiny encoder without heads."""
    folder = tmp_path_factory.mktemp("models") / "encoder"
    new_model().encoder.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def synthesis() -> SynthesisConfig:
    return SynthesisConfig(duration_s=(40.0, 40.0), pre_event_s=(8.0, 12.0), stations_per_event=(1, 2))


@pytest.fixture
def settings(tmp_path) -> dict:
    """A run of a few steps on a few synthetic events, from random weights."""
    return {
        "output_dir": str(tmp_path / "run"),
        "train": [
            {
                "kind": "synthetic",
                "num_events": 6,
                "synthesis": {
                    "duration_s": [40.0, 40.0],
                    "pre_event_s": [8.0, 12.0],
                    "stations_per_event": [1, 2],
                },
            }
        ],
        "architecture": {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "stem_channels": [4, 8, 8],
        },
        "windows": {"window_s": 12.0},
        "training": {
            "max_steps": 4,
            "batch_size": 4,
            "warmup_steps": 1,
            "learning_rate": 3e-3,
            "checkpoint_every": 2,
        },
        "validation_fraction": 0.34,
        "validation_windows": 8,
    }
