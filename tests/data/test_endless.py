"""Windows that a sequence makes itself, mixed with those of records."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from seisfm.data.batch import WaveformBatch
from seisfm.data.loading.endless import joined, leaves_of
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record, Subset
from seisfm.data.sources import JoinedRecords

WINDOWS = WindowConfig(window_s=2.0, margin_s=0.5)


def make_records(count: int) -> list[Record]:
    return [
        Record(
            record_id=f"recorded{i}",
            event_id=f"recorded{i}",
            waveform=np.full((3, 600), i, dtype=np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            arrivals=(Arrival(phase="P", time_s=2.0), Arrival(phase="S", time_s=3.0)),
            labelled_phases=frozenset({"P", "S"}),
        )
        for i in range(count)
    ]


class Ticking(Sequence[Record]):
    """A generator of its own: the window of a position is filled with what its random numbers say."""

    def __init__(self, count: int):
        self.count = count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index):
        raise AssertionError("a window that is made needs no record")

    def make_windows(self, positions, random, windows):
        count = len(positions)
        level = random.uniform("level")[:, None, None]
        return WaveformBatch(
            waveform=level.expand(-1, len(windows.components), windows.num_samples).contiguous(),
            sampling_rate_hz=torch.full((count,), windows.sampling_rate_hz),
            component_names=windows.components,
            unit=("m/s",) * count,
            station_id=("",) * count,
            event_id=tuple(f"made{i}" for i in positions.tolist()),
            start_time=torch.full((count,), torch.nan, dtype=torch.float64),
            station_geometry=torch.full((count, 3), torch.nan),
            labels={
                "p_arrival_s": torch.tensor([[0.5, 1.5]]).expand(count, -1),
                "event_type": torch.zeros(count, dtype=torch.int64),
            },
        )


def loader(records, **fields) -> WindowLoader:
    return WindowLoader(records, WINDOWS, None, 8, seed=3, **fields)


def test_made_and_cut_windows_stand_in_one_batch():
    """Both kinds of a joined sequence, of which a part was chosen, come in the order of their positions."""
    whole = JoinedRecords([make_records(6), Ticking(10), make_records(0), Ticking(4)])
    chosen = Subset(whole, [1, 2, 7, 9, 12, 16, 19, 5])
    batch = loader(chosen).batch(0)
    names = {1: "recorded1", 2: "recorded2", 5: "recorded5", 7: "made1", 9: "made3", 12: "made6"}
    names |= {16: "made0", 19: "made3"}
    order = loader(chosen).sampler.records(0, 8)
    assert batch.event_id == tuple(names[int(chosen.positions[i])] for i in order)
    for row, name in enumerate(batch.event_id):
        assert int(batch.labels["event_type"][row]) == (0 if name.startswith("made") else -1)
        assert bool(batch.labels["p_labelled"][row]) == name.startswith("recorded")
        assert int(batch.labels["p_arrival_s"][row].isfinite().sum()) == (2 if name.startswith("made") else 1)


def test_a_made_window_is_new_in_every_epoch_and_the_same_in_every_batch():
    records = Ticking(8)
    first, second = loader(records).batch(0), loader(records).batch(1)
    assert sorted(first.event_id) == sorted(second.event_id)
    assert not set(first.waveform[:, 0, 0].tolist()) & set(second.waveform[:, 0, 0].tolist())
    alone = WindowLoader(records, WINDOWS, None, 1, seed=3)
    singles = torch.cat([alone.batch(i).waveform for i in range(8)])
    torch.testing.assert_close(singles, first.waveform, rtol=0, atol=0)


def test_leaves_tell_where_each_record_lies():
    parts = [make_records(2), Ticking(3)]
    leaves, leaf, place = leaves_of(Subset(JoinedRecords(parts), [4, 0, 2]))
    assert leaves == parts
    assert leaf.tolist() == [1, 0, 1] and place.tolist() == [2, 0, 0]


def test_labels_of_joined_batches_are_as_wide_as_the_widest():
    made = Ticking(2).make_windows(np.arange(2), loader(Ticking(2)).sampler.random(0, 2), WINDOWS)
    narrow = made.replace(labels={"p_arrival_s": torch.tensor([[0.25], [0.75]])})
    labels = joined([narrow, made]).labels
    assert labels["p_arrival_s"].shape == (4, 2)
    assert labels["p_arrival_s"][:2, 1].isnan().all() and labels["p_arrival_s"][3].tolist() == [0.5, 1.5]
    assert labels["event_type"].tolist() == [-1, -1, 0, 0]


def test_a_record_that_cannot_be_cut_is_still_an_error():
    records = JoinedRecords([Ticking(2), make_records(2)])
    with pytest.raises(ValueError, match="none of which is among the configured"):
        WindowLoader(records, WindowConfig(window_s=2.0, margin_s=0.5, components=("H",)), None, 4, 0).batch(
            0
        )
