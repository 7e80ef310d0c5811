"""A study of seconds: two arms, two seeds, two and four labelled events of eight synthetic ones."""

from typing import Any

from seisfm.configs.loader import build_config
from seisfm.study.config import StudyConfig

RECORDS = {"duration_s": [30.0, 32.0], "pre_event_s": [8.0, 12.0], "stations_per_event": [2, 2]}
RECORDS |= {"sources": {"types": {"earthquake": 1.0, "noise": 0.0}}, "snr": [5.0, 50.0]}
STEPS = 6


def source(seed: int, num_events: int) -> dict[str, Any]:
    return {"kind": "synthetic", "num_events": num_events, "seed": seed, "synthesis": RECORDS}


def training(**changes: Any) -> dict[str, Any]:
    return {
        "max_steps": STEPS,
        "batch_size": 4,
        "warmup_steps": 1,
        "log_every": 1,
        "checkpoint_every": 3,
    } | changes


def settings(folder: Any) -> dict[str, Any]:
    windows = {"window_s": 12.0, "sampling_rate_hz": 50.0}
    return {
        "output_dir": str(folder),
        "arms": [
            {"name": "none"},
            {
                "name": "mae",
                "objectives": {"mae": {"decoder_size": 16, "decoder_layers": 1, "decoder_heads": 2}},
            },
        ],
        "seeds": [0, 1],
        "budgets": [2, 4],
        "sets": [
            {"name": "hills", "train": [source(2, 8)], "validation": [source(3, 4)], "test": [source(4, 4)]}
        ],
        "pretraining": {
            "architecture": {
                "hidden_size": 32,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "stem_channels": [4, 4, 8],
            },
            "contract": {"model_rate_hz": 50.0, "components": ["Z", "N", "E"]},
            "sources": [source(1, 8)],
            "windows": windows,
            "training": training(),
            "validation_fraction": 0.3,
            "validation_windows": 4,
        },
        "finetuning": {
            "heads": {"picking": {}},
            "windows": windows,
            "training": training(),
            "validation_windows": 4,
        },
        "protocol": {"window_s": 12.0, "sampling_rate_hz": 50.0, "tolerances_s": [0.5], "num_resamples": 10},
    }


def study(folder: Any, *overrides: str, **changes: Any) -> StudyConfig:
    return build_config(StudyConfig, settings(folder) | changes, overrides)
