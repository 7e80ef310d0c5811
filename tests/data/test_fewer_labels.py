"""Labels that some events are made to lack: by event, in cut and made windows, in training and validation."""

import numpy as np
import pytest
import torch
from seisfm.configs.loader import build_config
from seisfm.data.loading.fewer_labels import FewerLabels
from seisfm.data.loading.loader import WindowLoader
from seisfm.data.loading.window_source import fixed_windows
from seisfm.data.loading.windows import WindowConfig
from seisfm.data.records import Arrival, Record
from seisfm.data.synthesis import SynthesisConfig, SyntheticRecords

SOURCE = {
    "source_magnitude": 2.0,
    "source_depth_km": 8.0,
    "path_ep_distance_km": 30.0,
    "path_back_azimuth_deg": 90.0,
}
FEWER = FewerLabels(share={"magnitude": 0.25, "depth_km": 0.5})


def make_records(count, event_id="event {}"):
    return [
        Record(
            record_id=f"record {i}",
            event_id=event_id.format(i // 2),
            waveform=np.ones((3, 500), dtype=np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
            arrivals=(Arrival(phase="P", time_s=1.0), Arrival(phase="S", time_s=3.0)),
            labelled_phases=frozenset("PS"),
            metadata=SOURCE,
        )
        for i in range(count)
    ]


def windows(fewer_labels):
    return WindowConfig(window_s=5.0, fewer_labels=fewer_labels)


def labels_of_all(records, fewer_labels):
    batches = fixed_windows(records, windows(fewer_labels), seed=0)
    return {name: torch.cat([batch.labels[name] for batch in batches]) for name in batches[0].labels}


def test_a_share_of_the_events_keeps_a_label_and_nothing_else_changes():
    records = make_records(800)
    full, few = labels_of_all(records, FewerLabels()), labels_of_all(records, FEWER)
    kept = {name: few[name].isfinite() for name in FEWER.share}
    for name, share in FEWER.share.items():
        # Four standard deviations of a share of 400 events.
        assert float(kept[name].float().mean()) == pytest.approx(share, abs=4 * 0.5 / 400**0.5)
        assert torch.equal(kept[name][::2], kept[name][1::2]), "the windows of an event keep it together"
        assert torch.equal(few[name][kept[name]], full[name][kept[name]])
    assert (kept["depth_km"] | ~kept["magnitude"]).all(), "whoever keeps the rarer label keeps the other"
    for name in set(full) - set(FEWER.share):
        assert torch.equal(full[name].nan_to_num(-99.0), few[name].nan_to_num(-99.0)), name


def test_another_seed_is_of_other_events():
    records = make_records(100)
    shares = {"magnitude": 0.5}
    a, b = (labels_of_all(records, FewerLabels(share=shares, seed=seed))["magnitude"] for seed in (0, 1))
    assert 0 < int((a.isfinite() != b.isfinite()).sum()) < 100


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_no_event_and_every_event(share):
    told = labels_of_all(make_records(50), FewerLabels(share={"distance_km": share}))["distance_km"]
    assert told.isfinite().all() if share else told.isnan().all()


def test_windows_of_a_generator_lose_them_likewise():
    records = SyntheticRecords(SynthesisConfig(), seed=3, num_events=4)
    few, full = (
        WindowLoader(records, windows(fewer), None, 32, seed=0).batch(0) for fewer in (FEWER, FewerLabels())
    )
    assert torch.equal(few.waveform.nan_to_num(), full.waveform.nan_to_num())
    numbers = [
        int(batch.labels[name].isfinite().sum())
        for name in ("magnitude", "depth_km")
        for batch in (few, full)
    ]
    assert numbers[0] < numbers[1] and numbers[2] < numbers[3]
    assert torch.equal(few.labels["p_arrival_s"].isnan(), full.labels["p_arrival_s"].isnan())


def test_windows_without_an_event_are_refused_where_they_have_the_label():
    with pytest.raises(ValueError, match="6 windows with the label 'magnitude' have no event_id: give their"):
        labels_of_all(make_records(6, event_id=""), FewerLabels(share={"magnitude": 0.5}))
    unlabelled = [
        Record(
            record_id="noise",
            waveform=np.ones((3, 500), dtype=np.float32),
            component_names=("Z", "N", "E"),
            sampling_rate_hz=100.0,
        )
    ]
    assert labels_of_all(unlabelled, FEWER)["magnitude"].isnan().all()


@pytest.mark.parametrize(
    ("share", "message"),
    [
        ({"polarity": 0.5}, r"takes shares of \['back_azimuth_deg', .*\], found \['polarity'\]"),
        ({"magnitude": 1.5}, r"must lie in 0 to 1, found {'magnitude': 1.5}"),
    ],
)
def test_shares_that_cannot_be(share, message):
    with pytest.raises(ValueError, match=message):
        build_config(WindowConfig, {"fewer_labels": {"share": share}})
