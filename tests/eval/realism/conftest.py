"""Hand-made records of local earthquakes, whose shape is known."""

from collections.abc import Callable

import numpy as np
import pytest
from seisfm.data.records import Arrival, Record

RATE_HZ = 100.0


def make_record(number, *, s_to_p=3.0, noise=0.01, decay_s=2.0, separation_s=2.0, ringing_hz=None, **changes):
    """Noise, then at 10 s P along Z and later S along N, both as decaying noise that starts at once."""
    rng = np.random.default_rng([7, number])
    time_s = np.arange(3000) / RATE_HZ
    carrier = rng.normal(0.0, 1.0, (3, len(time_s)))
    if ringing_hz is not None:
        carrier = np.sqrt(2.0) * np.sin(2 * np.pi * (ringing_hz * time_s + rng.random((3, 1))))
    waveform = noise * rng.normal(0.0, 1.0, carrier.shape)
    for onset_s, size, shares in (
        (10.0, 1.0, (1.0, 0.3, 0.3)),
        (10.0 + separation_s, s_to_p, (0.3, 1.0, 0.8)),
    ):
        since = time_s - onset_s
        envelope = np.where(since >= 0, np.exp(-np.maximum(since, 0.0) / decay_s), 0.0)
        waveform += size * np.array(shares)[:, None] * envelope * carrier
    settings = {
        "record_id": f"r{number}",
        "event_id": f"e{number // 2}",
        "waveform": waveform.astype(np.float32),
        "component_names": ("Z", "N", "E"),
        "sampling_rate_hz": RATE_HZ,
        "arrivals": (Arrival(phase="P", time_s=10.0), Arrival(phase="S", time_s=10.0 + separation_s)),
        "labelled_phases": frozenset({"P", "S"}),
    }
    return Record(**(settings | changes))


@pytest.fixture(scope="session")
def record_of() -> Callable[..., Record]:
    return make_record
