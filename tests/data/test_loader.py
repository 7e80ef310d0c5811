import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.loading.augmentation import AugmentationConfig
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.sampler import SamplerState, WindowSampler
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record

WINDOWS = WindowConfig(window_s=4.0, margin_s=0.5)


def make_records(count) -> list[Record]:
    rng = np.random.default_rng(0)
    return [
        Record(
            record_id=str(i),
            event_id=str(i),
            waveform=rng.standard_normal((3, 1200)).astype(np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            arrivals=(Arrival(phase="P", time_s=5.0), Arrival(phase="S", time_s=6.0)),
            labelled_phases=frozenset({"P", "S"}),
        )
        for i in range(count)
    ]


def make_loader(count=20, batch_size=4, seed=3, augmentation=None, **fields) -> WindowLoader:
    return WindowLoader(make_records(count), WINDOWS, augmentation, batch_size, seed, **fields)


def assert_same(first, second):
    assert first.event_id == second.event_id
    torch.testing.assert_close(first.waveform, second.waveform, rtol=0, atol=0, equal_nan=True)
    for name, label in first.labels.items():
        torch.testing.assert_close(label, second.labels[name], rtol=0, atol=0, equal_nan=True)


def run_ids(loaders, num_batches):
    """The records of a run's windows, in the order in which all ranks together see them."""
    return [name for i in range(num_batches) for loader in loaders for name in loader.batch(i).event_id]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 4), st.integers(0, 3))
def test_each_epoch_has_each_record_once_whatever_the_ranks(count, batch_size, world_size, epoch):
    loaders = [make_loader(count, batch_size, rank=r, world_size=world_size) for r in range(world_size)]
    num_batches = -(-count * (epoch + 1) // (batch_size * world_size))
    ids = run_ids(loaders, num_batches)
    assert sorted(ids[count * epoch : count * (epoch + 1)], key=int) == [str(i) for i in range(count)]


def windows_of(loaders, num_batches):
    """Every window of a run, by its content."""
    found = []
    for i in range(num_batches):
        for loader in loaders:
            batch = loader.batch(i)
            found += [window.numpy().tobytes() for window in batch.waveform]
    return found


@pytest.mark.parametrize("world_size", [2, 4])
def test_the_augmented_windows_do_not_depend_on_the_number_of_ranks(world_size):
    one = make_loader(24, batch_size=8, augmentation=AugmentationConfig())
    many = [
        make_loader(24, 8 // world_size, augmentation=AugmentationConfig(), rank=rank, world_size=world_size)
        for rank in range(world_size)
    ]
    assert windows_of([one], 6) == windows_of(many, 6)


def test_a_run_goes_on_with_another_number_of_ranks():
    one = make_loader(24, batch_size=8, augmentation=AugmentationConfig())
    two = [make_loader(24, 4, augmentation=AugmentationConfig(), rank=r, world_size=2) for r in (0, 1)]
    state = two[0].state(5)
    assert state == SamplerState(seed=3, epoch=1, position=16)
    assert all(loader.index(state) == 5 for loader in (one, *two))
    four = make_loader(24, 4, augmentation=AugmentationConfig())
    assert four.index(state) == 10
    assert windows_of([one], 7)[40:] == windows_of(two, 7)[40:]
    with pytest.raises(ValueError, match="lies 4 windows inside of a batch of 1 ranks × 12"):
        make_loader(24, 12).index(state)
    with pytest.raises(ValueError, match="the state must be of seed 4"):
        make_loader(24, 8, seed=4).index(state)


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    loader = make_loader(augmentation=AugmentationConfig())
    expected = {i: loader.batch(i) for i in range(10)}
    other = make_loader(augmentation=AugmentationConfig())
    torch.manual_seed(99)  # the global generator has no say
    for index, batch in reversed(expected.items()):
        assert_same(other.batch(index), batch)


def test_seed_position_and_rank_all_matter():
    reference = make_loader(1, 1).batch(0)
    for other in (
        make_loader(1, 1, seed=4).batch(0),
        make_loader(1, 1).batch(1),
        make_loader(1, 1, rank=1, world_size=2).batch(0),
    ):
        assert not torch.equal(other.waveform, reference.waveform)
    assert run_ids([make_loader()], 5) != run_ids([make_loader(seed=4)], 5)


@pytest.mark.parametrize("start", [0, 3, 12])
def test_prefetching_and_resuming_change_nothing(start):
    ahead = make_loader(augmentation=AugmentationConfig(), prefetch=3).batches(start)
    plain = make_loader(augmentation=AugmentationConfig(), prefetch=0).batches(start)
    loader = make_loader(augmentation=AugmentationConfig())
    for index in range(start, start + 7):
        batch = next(ahead)
        assert_same(batch, next(plain))
        assert_same(batch, loader.batch(index))
    ahead.close()


def test_several_lengths_come_in_blocks():
    windows = WindowConfig(window_s=4.0, also_s=(2.0, 6.0), margin_s=0.5, length_block=16)
    loader = WindowLoader(make_records(50), windows, None, 8, 0)
    lengths = [loader.batch(i).num_samples for i in range(120)]
    assert lengths[::2] == lengths[1::2]
    assert {400, 200, 600} == set(lengths)
    assert min(lengths.count(length) for length in (400, 200, 600)) > 20


class Weighted(Sequence):
    """Records that are met more or less often."""

    def __init__(self, count, weights):
        self.records, self.weights = make_records(count), np.array(weights)

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        return self.records[index]

    def record_weights(self):
        return self.weights


def test_weights_say_how_often_a_record_is_met_in_an_epoch():
    records = Weighted(12, [1.0] * 4 + [3.0] * 2 + [0.5] * 6)
    loader = WindowLoader(records, WINDOWS, None, 13, 0)  # 4 + 6 + 3 windows an epoch
    epochs = [Counter(loader.batch(epoch).event_id) for epoch in range(4)]
    for times in epochs:
        assert [times[str(i)] for i in range(6)] == [1] * 4 + [3] * 2
        assert sum(times[str(i)] for i in range(6, 12)) == 3
    assert all(sum(times[str(i)] for times in epochs) == 2 for i in range(6, 12))


class BrokenAt(Sequence):
    """Lazy records, one of which cannot be read."""

    def __init__(self, count, broken):
        self.records, self.broken, self.asked = make_records(count), broken, []

    def __len__(self):
        return len(self.records)

    def __getitem__(self, index):
        self.asked.append(index)
        if index == self.broken:
            raise OSError(f"record {index} is truncated")
        return self.records[index]


@pytest.mark.parametrize("prefetch", [0, 2])
def test_an_error_reaches_the_caller_in_its_place(prefetch):
    order = [int(name) for name in run_ids([make_loader()], 5)]
    broken = BrokenAt(20, broken=order[9])  # in the third batch of four
    batches = WindowLoader(broken, WINDOWS, None, 4, 3, prefetch=prefetch).batches()
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="is truncated"):
        next(batches)


def test_records_are_read_when_they_are_needed():
    lazy = BrokenAt(20, broken=-1)
    WindowLoader(lazy, WINDOWS, None, 4, 3).batch(0)
    assert len(lazy.asked) == 4


def test_closing_ends_the_background_thread():
    names = lambda: [t.name for t in threading.enumerate() if t.name.startswith("WindowLoader")]  # noqa: E731
    batches = make_loader().batches()
    next(batches)
    assert names()
    batches.close()
    assert not names()


def test_a_process_ends_well_with_the_iterator_still_open():
    script = (
        "import numpy as np\n"
        "from seisfm.data.loading.loader import WindowLoader\n"
        "from seisfm.data.records import Record\n"
        "from seisfm.data.loading.windows import WindowConfig\n"
        "r = Record(record_id='r', waveform=np.zeros((1, 9000), 'f4'), component_names=('Z',),\n"
        "           sampling_rate_hz=100.0)\n"
        "batches = WindowLoader([r] * 64, WindowConfig(), None, 64, 0).batches()\n"
        "next(batches)\n"
    )
    command = [sys.executable, "-c", script]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"count": 0}, "windows need one record or more, found none"),
        ({"batch_size": 0}, "batch_size must be 1 or more and prefetch not negative, found 0 and 2"),
        ({"prefetch": -1}, "found 4 and -1"),
        ({"rank": 2, "world_size": 2}, "rank must lie in 0 to world_size − 1, found 2 of 2"),
        ({"noise_records": make_records(1)}, "noise_records are for augmentation, which is None"),
    ],
)
def test_impossible_loaders_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_loader(**fields)


def test_a_negative_start_is_refused():
    with pytest.raises(ValueError, match="start must not be negative, found -1"):
        make_loader().batches(-1)


@pytest.mark.parametrize("weights", [[], [1.0, -1.0], [1.0, np.nan]])
def test_impossible_weights_are_refused(weights):
    with pytest.raises(ValueError, match="weights must be one positive number a record"):
        WindowSampler(np.array(weights), 0)


def test_an_empty_block_is_refused():
    with pytest.raises(ValueError, match="block must be 1 or more, found 0"):
        WindowSampler(np.ones(3), 0, block=0)
