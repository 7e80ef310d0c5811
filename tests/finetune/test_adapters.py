"""Adapters on disk: the same bits again, on their own base only, and merged to the same answers."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from seisfm.finetune.adapters import merge_adapter, save_adapter, save_model
from seisfm.finetune.methods import MethodConfig, apply_method
from seisfm.heads.model_folder import ModelError, ModelFolder
from seisfm.heads.task_model import SeismicTaskModel, load_model

LAYOUT = {"adapter_config.json", "adapter_model.safetensors", "config.json"}


def _probability(model, batch):
    with torch.no_grad():
        answers = model(batch)
    return torch.cat((answers["picking"]["probability"], answers["detection"]["probability"][:, None]), dim=1)


def _adapted(base, kind="lora", seed=0, **settings):
    """An adapter whose every weight has moved, as training would do."""
    tunable = apply_method(load_model(base), MethodConfig(kind=kind, **settings))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in tunable.model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    tunable.model.eval()
    return tunable


@pytest.fixture
def pair(base, tmp_path):
    """A base and an adapter on it, side by side, that a test may spoil."""
    shutil.copytree(base, tmp_path / "base")
    tunable = _adapted(tmp_path / "base")
    save_adapter(tunable, tmp_path / "adapter", ModelFolder.find(tmp_path / "base"))
    return tmp_path


@pytest.mark.parametrize("kind", ["lora", "dora", "ia3"])
def test_a_saved_adapter_gives_the_same_bits(base, tmp_path, batch_of, kind):
    tunable = _adapted(base, kind)
    save_adapter(tunable, tmp_path / "adapter", ModelFolder.find(base))
    loaded = load_model(tmp_path / "adapter")
    assert {file.name for file in (tmp_path / "adapter").iterdir()} == LAYOUT
    assert isinstance(loaded, SeismicTaskModel)
    assert not loaded.training
    expected = _probability(tunable.model, batch_of())
    assert torch.equal(_probability(loaded, batch_of()), expected)
    assert not torch.equal(_probability(load_model(base), batch_of()), expected)


def test_an_adapter_finds_its_base_of_the_hub_at_its_revision(base, tmp_path, batch_of, monkeypatch):
    # The hub's own cache layout, where `v1` and `main` are different weights.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    repository = tmp_path / "cache" / "models--somebody--picker"
    (repository / "refs").mkdir(parents=True)
    for revision, commit in (("v1", "1" * 40), ("main", "2" * 40)):
        (repository / "refs" / revision).write_text(commit)
        shutil.copytree(base, repository / "snapshots" / commit)
    newer = repository / "snapshots" / ("2" * 40) / "model.safetensors"
    save_file({name: tensor + 0.1 for name, tensor in load_file(newer).items()}, newer)
    tunable = _adapted(base)
    save_adapter(tunable, tmp_path / "adapter", ModelFolder.find("somebody/picker", "v1"))
    expected = _probability(tunable.model, batch_of())
    assert torch.equal(_probability(load_model(tmp_path / "adapter"), batch_of()), expected)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [("lora", {}), ("lora", {"adapt_stem": True}), ("dora", {"adapt_stem": True}), ("ia3", {})],
)
def test_merged_it_answers_the_same_without_base_or_peft(base, tmp_path, batch_of, kind, settings):
    tunable = _adapted(base, kind, **settings)
    save_adapter(tunable, tmp_path / "adapter", ModelFolder.find(base))
    merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    merged = load_model(tmp_path / "merged")
    assert {file.name for file in (tmp_path / "merged").iterdir()} == {"config.json", "model.safetensors"}
    expected = _probability(tunable.model, batch_of())
    assert torch.allclose(_probability(merged, batch_of()), expected, atol=1e-5)
    assert [name for name, _ in merged.named_modules()] == [n for n, _ in load_model(base).named_modules()]


def test_the_base_on_disk_stays_as_it_is(base, tmp_path, batch_of):
    before = ModelFolder.find(base).sha256()
    save_adapter(_adapted(base), tmp_path / "adapter", ModelFolder.find(base))
    merge_adapter(tmp_path / "adapter", tmp_path / "merged")
    assert ModelFolder.find(base).sha256() == before


def test_base_and_adapter_may_move_together(pair, tmp_path_factory, batch_of):
    expected = _probability(load_model(pair / "adapter"), batch_of())
    elsewhere = tmp_path_factory.mktemp("elsewhere") / "moved"
    pair.rename(elsewhere)
    elsewhere.parent.mkdir(exist_ok=True)
    assert str(pair) not in (elsewhere / "adapter" / "adapter_config.json").read_text()
    assert torch.equal(_probability(load_model(elsewhere / "adapter"), batch_of()), expected)


def test_one_folder_for_each_named_adapter(base, tmp_path, batch_of):
    zoo = tmp_path / "zoo"
    shutil.copytree(base, zoo)
    expected = {}
    for seed, name in enumerate(("chile", "japan")):
        tunable = _adapted(zoo, seed=seed)
        save_adapter(tunable, zoo / name, ModelFolder.find(zoo))
        expected[name] = _probability(tunable.model, batch_of())
    assert not torch.equal(expected["chile"], expected["japan"])
    for name, answer in expected.items():
        assert torch.equal(_probability(load_model(zoo, adapter=name), batch_of()), answer)


def test_an_adapter_may_be_put_on_a_base_that_is_named(pair, tmp_path, batch_of):
    expected = _probability(load_model(pair / "adapter"), batch_of())
    (pair / "base").rename(pair / "renamed")
    model = load_model(pair / "renamed", adapter=pair / "adapter")
    assert torch.equal(_probability(model, batch_of()), expected)


def test_a_missing_base_is_named_with_the_way_out(pair):
    shutil.rmtree(pair / "base")
    with pytest.raises(FileNotFoundError, match=r"needs its base model .*load_model\(BASE, adapter="):
        load_model(pair / "adapter")


def test_another_base_is_refused(pair, new_model):
    other = new_model()
    with torch.no_grad():
        other.encoder.stem.patch.bias += 1e-3
    save_model(other, pair / "base")
    with pytest.raises(ModelError, match="was trained on weights with SHA-256"):
        load_model(pair / "adapter")


def test_an_adapter_is_no_base(pair):
    with pytest.raises(ModelError, match="is an adapter itself: merge it"):
        load_model(pair / "adapter", adapter=pair / "adapter")


def test_a_model_is_no_adapter(pair):
    with pytest.raises(FileNotFoundError, match=r"has no adapter_config\.json: it is no adapter"):
        load_model(pair / "base", adapter=pair / "base")
    with pytest.raises(ModelError, match="is not an adapter: there is nothing to merge"):
        merge_adapter(pair / "base", pair / "merged")


def test_an_adapter_that_names_no_base_is_refused(pair):
    path = pair / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"base_model_name_or_path": None}))
    with pytest.raises(ModelError, match="names no base_model_name_or_path"):
        load_model(pair / "adapter")


@pytest.mark.parametrize(
    ("part", "message"), [("lora_B", "1 missing"), ("heads.picking", "lacks .*heads.picking")]
)
def test_an_incomplete_adapter_is_refused(pair, part, message):
    path = pair / "adapter" / "adapter_model.safetensors"
    weights = load_file(path)
    del weights[next(name for name in weights if part in name)]
    save_file(weights, path)
    with pytest.raises(ModelError, match=message):
        load_model(pair / "adapter")


def test_an_adapter_of_another_shape_is_refused(pair):
    path = pair / "adapter" / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"r": 3}))
    with pytest.raises(ModelError, match="does not fit its model"):
        load_model(pair / "adapter")


def test_a_merged_model_overwrites_nothing(pair):
    with pytest.raises(FileExistsError, match="already holds a model"):
        merge_adapter(pair / "adapter", pair / "base")


def test_without_an_adapter_there_is_none_to_save(base, tmp_path):
    tunable = apply_method(load_model(base), MethodConfig(kind="head"))
    with pytest.raises(ValueError, match="method head makes no adapter"):
        save_adapter(tunable, tmp_path, ModelFolder.find(base))
