import pytest
import torch
from seisfm.data.batch import WaveformBatch


def make_batch(num_windows=3, names=("Z", "N", "E"), **fields) -> WaveformBatch:
    waveform = torch.randn(num_windows, len(names), 50, generator=torch.Generator().manual_seed(0))
    return WaveformBatch(
        **{
            "waveform": waveform,
            "sampling_rate_hz": torch.full((num_windows,), 100.0),
            "component_names": names,
            "unit": ("counts",) * num_windows,
            **fields,
        }
    )


def test_observed_is_made_of_what_is_finite():
    waveform = torch.zeros(1, 1, 4)
    waveform[0, 0, 1:] = torch.tensor([torch.nan, torch.inf, -torch.inf])
    batch = make_batch(1, ("Z",), waveform=waveform)
    assert batch.observed.tolist() == [[[True, False, False, False]]]


def test_finite_samples_may_be_declared_unobserved():
    observed = torch.zeros(3, 3, 50, dtype=torch.bool)
    assert not make_batch(observed=observed).observed.any()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"waveform": torch.zeros(3, 50)},
            r"must be float32 \(window, component, sample\), found .* \(3, 50\)",
        ),
        ({"waveform": torch.zeros(3, 3, 50, dtype=torch.float64)}, "found torch.float64"),
        ({"component_names": ("Z", "1", "2")}, r"unknown component \['1', '2'\].*COMPONENT_SLOTS"),
        ({"component_names": ("Z", "N")}, "must name each of the 3 rows once"),
        ({"component_names": ("Z", "N", "N")}, "must name each of the 3 rows once"),
        ({"observed": torch.ones(3, 3, 49, dtype=torch.bool)}, r"observed must be bool \(3, 3, 50\)"),
        (
            {
                "waveform": torch.full((3, 3, 50), torch.nan),
                "observed": torch.ones(3, 3, 50, dtype=torch.bool),
            },
            "observed samples must be finite",
        ),
        ({"unit": ("counts", "m", "counts")}, "unit must hold one of"),
        ({"unit": ("counts",)}, "for each of 3 windows"),
        ({"sampling_rate_hz": torch.tensor([100.0, 0.0, 100.0])}, "sampling_rate_hz must be positive"),
        ({"sampling_rate_hz": torch.tensor(100.0)}, r"with shape \(3,\)"),
        ({"station_id": ("a",)}, "station_id must have 3 entries, one a window, found 1"),
        ({"labels": {"magnitude": torch.zeros(2)}}, r"label 'magnitude' must begin with 3 windows"),
    ],
)
def test_a_wrong_batch_is_not_born(fields, message):
    with pytest.raises(ValueError, match=message):
        make_batch(**fields)


def test_a_replaced_waveform_brings_its_own_mask_and_changes_no_original():
    batch = make_batch()
    emptied = batch.replace(waveform=torch.full_like(batch.waveform, torch.nan))
    assert not emptied.observed.any()
    assert batch.observed.all()


def test_selecting_takes_every_field_along():
    batch = make_batch(
        unit=("counts", "m/s", "unknown"),
        station_id=("a", "b", "c"),
        event_id=("x", "y", "z"),
        start_time=torch.arange(3, dtype=torch.float64),
        station_geometry=torch.arange(9.0).reshape(3, 3),
        event_index=torch.tensor([0, 0, 1]),
        labels={"magnitude": torch.tensor([1.0, 2.0, 3.0])},
    )
    chosen = batch.select(torch.tensor([2, 0]))
    assert torch.equal(chosen.waveform, batch.waveform[[2, 0]])
    assert (chosen.unit, chosen.station_id, chosen.event_id) == (
        ("unknown", "counts"),
        ("c", "a"),
        ("z", "x"),
    )
    assert chosen.start_time is not None and chosen.start_time.tolist() == [2.0, 0.0]
    assert chosen.labels["magnitude"].tolist() == [3.0, 1.0]
    masked = batch.select(torch.tensor([True, False, True]))
    assert masked.event_id == ("x", "z")
    assert len(batch.select(torch.tensor([], dtype=torch.int64))) == 0


def test_a_component_that_is_not_there_is_missing_and_none_is_lost():
    batch = make_batch(names=("E", "Z"))
    wider = batch.with_components(("Z", "N", "E", "H"))
    assert torch.equal(wider.waveform[:, [2, 0]], batch.waveform)
    assert wider.waveform[:, [1, 3]].isnan().all()
    assert wider.observed.any(dim=-1)[0].tolist() == [True, False, True, False]
    with pytest.raises(ValueError, match=r"components \['E'\] have no place in \('Z',\)"):
        batch.with_components(("Z",))


def test_moving_to_a_device_keeps_everything():
    batch = make_batch(labels={"magnitude": torch.ones(3)}, start_time=torch.zeros(3, dtype=torch.float64))
    moved = batch.to("cpu")
    assert torch.equal(moved.waveform, batch.waveform)
    assert moved.labels.keys() == batch.labels.keys()
    assert (moved.device.type, moved.num_samples) == ("cpu", 50)
