import subprocess
import sys
import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from seisfm.data.augmentation import AugmentationConfig
from seisfm.data.loader import WindowLoader
from seisfm.data.records import Arrival, Record
from seisfm.data.windows import WindowConfig

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


def epoch_ids(loader, epoch):
    return [name for p in range(loader.num_batches) for name in loader.batch(epoch, p).event_id or ()]


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 40), st.integers(1, 5), st.integers(1, 3), st.integers(0, 5))
def test_ranks_share_an_epoch_without_overlap(count, batch_size, world_size, epoch):
    loaders = [make_loader(count, batch_size, rank=r, world_size=world_size) for r in range(world_size)]
    assert len({loader.num_batches for loader in loaders}) == 1
    ids = [name for loader in loaders for name in epoch_ids(loader, epoch)]
    assert len(ids) == loaders[0].num_batches * batch_size * world_size
    if count >= batch_size * world_size:
        assert len(set(ids)) == len(ids)
        assert count - len(ids) < batch_size * world_size
    else:
        # Too few records for one batch of all ranks: all of them, as evenly often as can be.
        assert set(ids) == {str(i) for i in range(count)}
        times = [ids.count(str(i)) for i in range(count)]
        assert max(times) - min(times) <= 1


def test_the_order_does_not_depend_on_the_number_of_ranks():
    one = make_loader(24, batch_size=8)
    two = [make_loader(24, batch_size=4, rank=rank, world_size=2) for rank in (0, 1)]
    for position in range(one.num_batches):
        halves = [loader.batch(1, position).event_id or () for loader in two]
        assert one.batch(1, position).event_id == (*halves[0], *halves[1])


def test_a_batch_is_the_same_whenever_it_is_asked_for():
    loader = make_loader(augmentation=AugmentationConfig())
    expected = {(e, p): loader.batch(e, p) for e in range(2) for p in range(loader.num_batches)}
    other = make_loader(augmentation=AugmentationConfig())
    torch.manual_seed(99)  # the global generator has no say
    for (epoch, position), batch in reversed(expected.items()):
        assert_same(other.batch(epoch, position), batch)


def test_seed_epoch_position_and_rank_all_matter():
    reference = make_loader(1, 1).batch(0, 0)
    for other in (
        make_loader(1, 1, seed=4).batch(0, 0),
        make_loader(1, 1).batch(1, 0),
        make_loader(1, 1, rank=1, world_size=2).batch(0, 0),
    ):
        assert not torch.equal(other.waveform, reference.waveform)
    assert epoch_ids(make_loader(), 0) != epoch_ids(make_loader(), 1)


@pytest.mark.parametrize("start", [0, 3, 12])
def test_prefetching_and_resuming_change_nothing(start):
    ahead = make_loader(augmentation=AugmentationConfig(), prefetch=3).batches(start)
    plain = make_loader(augmentation=AugmentationConfig(), prefetch=0).batches(start)
    loader = make_loader(augmentation=AugmentationConfig())
    for index in range(start, start + 7):
        batch = next(ahead)
        assert_same(batch, next(plain))
        assert_same(batch, loader.batch(*divmod(index, loader.num_batches)))
    ahead.close()
    plain.close()


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
    order = [int(name) for name in epoch_ids(make_loader(), 0)]
    broken = BrokenAt(20, broken=order[9])  # in the third batch of four
    batches = WindowLoader(broken, WINDOWS, None, 4, 3, prefetch=prefetch).batches()
    next(batches)
    next(batches)
    with pytest.raises(OSError, match="is truncated"):
        next(batches)


def test_records_are_read_when_they_are_needed():
    lazy = BrokenAt(20, broken=-1)
    WindowLoader(lazy, WINDOWS, None, 4, 3).batch(0, 0)
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
        "from seisfm.data.loader import WindowLoader\n"
        "from seisfm.data.records import Record\n"
        "from seisfm.data.windows import WindowConfig\n"
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
        ({"count": 0}, "needs one record or more, found none"),
        ({"batch_size": 0}, "batch_size must be 1 or more and prefetch not negative, found 0 and 2"),
        ({"prefetch": -1}, "found 4 and -1"),
        ({"rank": 2, "world_size": 2}, "rank must lie in 0 to world_size − 1, found 2 of 2"),
        ({"noise_records": make_records(1)}, "noise_records are for augmentation, which is None"),
    ],
)
def test_impossible_loaders_are_refused(fields, message):
    with pytest.raises(ValueError, match=message):
        make_loader(**fields)


def test_positions_outside_of_an_epoch_are_refused():
    with pytest.raises(IndexError, match="positions 0 to 4, found 5"):
        make_loader().batch(0, 5)
    with pytest.raises(ValueError, match="start must not be negative, found -1"):
        make_loader().batches(-1)
