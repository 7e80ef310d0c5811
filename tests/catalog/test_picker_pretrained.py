"""The picker around a real task model, from its folder."""

import numpy as np
import pytest
from seisfm.catalog.picker import UNKNOWN_THRESHOLD, Picker, PickerConfig
from seisfm.foundation.backbones.seismic import SeismicConfig
from seisfm.foundation.contract import InputContract, WindowRange
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    contract = InputContract(window_s=WindowRange(min=10.0, max=60.0, preferred=20.0))
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 64}
    encoder = SeismicConfig.of_size("tiny", contract, **small)
    path = tmp_path_factory.mktemp("model")
    SeismicTaskModel(
        SeismicTaskConfig(encoder=encoder, heads={"picking": {}, "detection": {}})
    ).save_pretrained(path)
    return path


def test_a_saved_model_annotates_like_the_one_in_memory(folder, motion):
    picker = Picker.from_pretrained(str(folder), p_threshold=0.01, s_threshold=0.01)
    assert picker.config.p_threshold == 0.01
    again = Picker(SeismicTaskModel.from_pretrained(folder), name=str(folder))
    assert picker.revision == again.revision
    stream = motion(duration_s=45.0)
    for first, second in zip(picker.annotate(stream), again.annotate(stream), strict=True):
        np.testing.assert_array_equal(first.data, second.data)
        assert first.stats.npts == 4500


def test_annotations_do_not_depend_on_the_batch_size(folder, motion):
    stream = motion(duration_s=90.0, rate_hz=50.0)
    one, many = (Picker.from_pretrained(str(folder), batch_size=n).annotate(stream) for n in (1, 16))
    for first, second in zip(one, many, strict=True):
        np.testing.assert_allclose(first.data, second.data, atol=1e-5)


def test_a_model_without_detection_head_gives_no_detections(motion, folder):
    model = SeismicTaskModel.from_pretrained(folder)
    del model.heads["detection"]
    picker = Picker(model, PickerConfig())
    assert len(picker.annotate(motion(duration_s=30.0))) == 2
    assert len(picker.classify(motion(duration_s=30.0)).detections) == 0


def test_a_misspelt_setting_and_a_missing_model_are_named(folder):
    with pytest.raises(TypeError, match="p_treshold"):
        Picker.from_pretrained(str(folder), p_treshold=0.1)
    with pytest.raises(FileNotFoundError, match="no-such-model"):
        Picker.from_pretrained("no-such-model")


def test_a_model_recommends_its_own_thresholds(folder, tmp_path):
    model = SeismicTaskModel.from_pretrained(folder)
    assert Picker(model).thresholds == {"P": UNKNOWN_THRESHOLD, "S": UNKNOWN_THRESHOLD}
    model.config.calibrate({"picking": {"p_threshold": 0.6}})
    model.save_pretrained(tmp_path)
    assert Picker.from_pretrained(str(tmp_path)).thresholds == {"P": 0.6, "S": UNKNOWN_THRESHOLD}
    assert Picker.from_pretrained(str(tmp_path), p_threshold=0.2).thresholds["P"] == 0.2
    with pytest.raises(ValueError, match="thresholds must be at most 1"):
        model.config.calibrate({"picking": {"s_threshold": 1.5}})
