"""Opening saved models: the same bits, or one line that says what is wrong and what to do."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from seisfm.foundation.backbones.unet import UNetConfig, UNetModel
from seisfm.foundation.contract import ContractError, InputContract
from seisfm.heads.model_folder import ModelError, ModelFolder
from seisfm.heads.task_model import SeismicTaskConfig, SeismicTaskModel, load_model
from transformers import AutoModel


@pytest.fixture(scope="module")
def saved(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "tiny"
    model.save_pretrained(folder)
    return folder


@pytest.fixture
def folder(saved, tmp_path):
    """A copy that a test may spoil."""
    return shutil.copytree(saved, tmp_path / "spoilt")


def _rewrite(folder, **changes):
    settings = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(settings | changes))


@pytest.mark.parametrize("opener", [load_model, AutoModel.from_pretrained, SeismicTaskModel.from_pretrained])
def test_a_saved_model_gives_the_same_bits(model, saved, batch_of, opener):
    loaded = opener(saved)
    assert isinstance(loaded, SeismicTaskModel)
    assert loaded.contract == model.contract
    assert not loaded.training
    assert not list(loaded.buffers()), "a buffer would need a test of its own after loading"
    with torch.no_grad():
        before, after = model(batch_of()), loaded(batch_of())
    for name, answer in before.items():
        assert torch.equal(answer["probability"], after[name]["probability"])


def test_loading_leaves_the_random_state_alone(saved):
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    load_model(saved)
    assert torch.equal(torch.rand(1), expected)


def test_half_precision_files_are_opened_in_float32(folder):
    weights = {name: t.half() for name, t in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors")
    assert {p.dtype for p in load_model(folder).parameters()} == {torch.float32}


def test_no_path_of_the_one_who_saved_is_published(folder):
    load_model(folder).save_pretrained(folder / "again")
    assert str(folder) not in (folder / "again" / "config.json").read_text()


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "/no/where/at/all"])
def test_a_missing_folder_is_named(name):
    with pytest.raises(FileNotFoundError, match=r"expected a folder with config\.json"):
        load_model(name)


def test_a_hub_that_cannot_be_reached_is_one_line(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="the hub does not give it at revision v1") as caught:
        load_model("nobody/nothing-of-this-name", revision="v1")
    assert "\n" not in str(caught.value)


def test_a_folder_has_no_revision(saved):
    with pytest.raises(ValueError, match="pins a hub id"):
        load_model(saved, revision="v1")


@pytest.mark.parametrize("file", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(folder, file):
    (folder / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"has no {file}"):
        load_model(folder)


def test_pickles_are_never_opened(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    with pytest.raises(FileNotFoundError, match=r"pytorch_model\.bin'\] are pickles, which are never opened"):
        load_model(folder)


def test_a_model_without_an_input_contract_is_refused(folder):
    settings = json.loads((folder / "config.json").read_text())
    del settings["encoder"]["input_contract"]
    (folder / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ContractError, match="spoilt has no input_contract"):
        load_model(folder)


def test_corrupt_weights_are_refused(folder):
    content = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(content[: len(content) // 2])
    with pytest.raises(ModelError, match=r"model\.safetensors is corrupt"):
        load_model(folder)


def test_a_corrupt_configuration_is_refused(folder):
    (folder / "config.json").write_text('{"model_type": "seisfm_task", ')
    with pytest.raises(ModelError, match=r"config\.json is not JSON"):
        load_model(folder)


def test_a_list_is_no_configuration(folder):
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="must hold a JSON object, found list"):
        load_model(folder)


@pytest.mark.parametrize(
    ("heads", "message"),
    [({"picks": {}}, "unknown head 'picks'"), ({"picking": {"sigma": 1}}, "does not describe a model")],
)
def test_unknown_heads_and_settings_are_refused(folder, heads, message):
    _rewrite(folder, heads=heads)
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_an_encoder_alone_is_no_task_model(model, tmp_path):
    model.encoder.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="found 'seisfm' \\(an encoder has no heads yet: fine-tune it\\)"):
        load_model(tmp_path)


def _without(weights):
    del weights["encoder.stem.patch.weight"]


def _with_another(weights):
    weights["heads.polarity.weight"] = torch.zeros(3)


def _of_another_shape(weights):
    weights["encoder.stem.patch.bias"] = torch.zeros(3)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_without, r"1 missing \(encoder.stem.patch.weight\)"),
        (_with_another, r"1 unknown \(heads.polarity.weight\)"),
        (_of_another_shape, r"1 of another shape \(encoder.stem.patch.bias \(3,\) instead of \(32,\)\)"),
    ],
)
def test_nothing_is_left_random(folder, spoil, message):
    weights = load_file(folder / "model.safetensors")
    spoil(weights)
    save_file(weights, folder / "model.safetensors")
    with pytest.raises(ModelError, match=message):
        load_model(folder)


def test_the_fingerprint_is_of_the_weights(saved, folder):
    before = ModelFolder.find(folder).sha256()
    assert before == ModelFolder.find(saved).sha256()
    _rewrite(folder, loss_weights={"picking": 2.0})
    assert ModelFolder.find(folder).sha256() == before
    (folder / "model.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match=r"has no model\.safetensors"):
        ModelFolder.find(folder).sha256()


def test_a_picker_around_a_unet_is_saved_and_loaded(batch_of, tmp_path):
    torch.manual_seed(0)
    config = SeismicTaskConfig(encoder=UNetConfig.of_size("tiny", InputContract()), heads={"picking": {}})
    model = SeismicTaskModel(config).eval()
    model.save_pretrained(tmp_path)
    loaded = load_model(tmp_path)
    assert isinstance(loaded.encoder, UNetModel)
    batch = batch_of()
    with torch.no_grad():
        before, after = model(batch), loaded(batch)
    assert torch.equal(before["picking"]["probability"], after["picking"]["probability"])


def test_a_backbone_of_another_house_is_refused(tmp_path):
    model = SeismicTaskModel(
        SeismicTaskConfig(encoder=UNetConfig.of_size("tiny", InputContract()), heads={"picking": {}})
    )
    model.save_pretrained(tmp_path)
    settings = json.loads((tmp_path / "config.json").read_text())
    settings["encoder"]["model_type"] = "bert"
    (tmp_path / "config.json").write_text(json.dumps(settings))
    with pytest.raises(ModelError, match="must be a backbone of seisfm, found 'bert'"):
        load_model(tmp_path)
