"""P picks get their first motion where the model has a head for it."""

import numpy as np
import torch
from seisfm.catalog.first_motions import first_motion
from seisfm.catalog.picker import Picker, PickerConfig
from seisfm.data.records import Record
from torch import nn


def record_of(num_samples=200):
    return Record(
        record_id="r",
        waveform=np.zeros((1, num_samples), np.float32),
        component_names=("Z",),
        sampling_rate_hz=100.0,
        start_time=0.0,
    )


def test_the_most_probable_class_at_the_pick_counts():
    polarity = np.tile(np.array([[0.2], [0.7], [0.1]], np.float32), (1, 200))
    polarity[:, 150] = 0.6, 0.3, 0.1
    there = first_motion(record_of(), polarity, "P", 1.502)
    assert there["polarity"] == "positive" and np.isclose(there["polarity_probability"], 0.6)
    assert first_motion(record_of(), polarity, "P", 1.2)["polarity"] == "negative"


def test_s_gaps_and_models_without_the_head_have_none():
    polarity = np.full((3, 200), np.nan, np.float32)
    assert first_motion(record_of(), polarity, "P", 1.0) == {}
    assert first_motion(record_of(), np.full((3, 200), 0.3), "S", 1.0) == {}
    assert first_motion(record_of(), np.zeros((0, 200)), "P", 1.0) == {}
    assert first_motion(record_of(), np.full((3, 200), 0.3), "P", 2.5) == {}


def test_the_picker_writes_first_motions_and_annotates_as_before(onset_model, motion):
    class Signed(type(onset_model)):
        def __init__(self):
            super().__init__()
            self.heads = nn.ModuleDict({"polarity": nn.Identity()})

        def forward(self, batch):
            down = torch.tensor([0.1, 0.8, 0.1])[None, :, None]
            return super().forward(batch) | {
                "polarity": {"probability": down.expand(len(batch), 3, batch.num_samples)}
            }

    config = PickerConfig(batch_size=4, refine_shifts=2)
    signed, plain = Picker(Signed(), config), Picker(onset_model, config)
    picks, others = (picker.classify(motion()).picks.frame for picker in (signed, plain))
    assert picks["polarity"].tolist() == ["negative" if p == "P" else "" for p in picks["phase"]]
    assert np.allclose(picks.loc[picks["phase"] == "P", "polarity_probability"], 0.8)
    assert set(others["polarity"]) == {""}
    assert len(picks) == len(others) > 0
    assert len(signed.annotate(motion())) == len(plain.annotate(motion()))
