"""A model's way to others: what stops it, what its card says, and that it arrives bit for bit."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import seisfm
import torch
import yaml
from huggingface_hub import ModelCard
from safetensors.torch import load_file, save_file
from seisfm.finetune.adapters import save_adapter
from seisfm.finetune.methods import MethodConfig, apply_method
from seisfm.foundation.contract import ContractError, InputContract
from seisfm.heads.model_folder import ModelFolder
from seisfm.hub.card import make_card, write_card
from seisfm.hub.checks import CheckError, answers, check_model, is_pickle, made_up_window, open_model, same
from seisfm.hub.facts import read_facts
from seisfm.hub.publish import publish, sha256

ENCODER_BIAS = "encoder.stem.patch.bias"
TRAINING = {
    "output_dir": "runs/tiny",
    "seed": 3,
    "sources": [{"kind": "synthetic", "synthesis": {}, "num_events": 40}],
    "training": {"max_steps": 7, "learning_rate": 0.002},
}
METRICS = {
    "steps": 7,
    "wall_time_s": 1.5,
    "device": "cpu",
    "validation": {"loss": 0.25},
    "table": [{"phase": "P", "tolerance_s": 0.5, "f1": 0.8, "f1_low": 0.7, "f1_high": 0.9, "num_events": 12}],
}


def describe(folder: Path, training: dict = TRAINING, metrics: dict = METRICS) -> None:
    (folder / "training.yaml").write_text(yaml.safe_dump(training))
    (folder / "metrics.json").write_text(json.dumps(metrics))


@pytest.fixture(scope="module")
def saved(new_model: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "tiny-picker"
    new_model().save_pretrained(folder)
    describe(folder)
    return folder


@pytest.fixture
def model_dir(saved: Path, tmp_path: Path) -> Path:
    """A copy that a test may break."""
    return Path(shutil.copytree(saved, tmp_path / saved.name))


def change_json(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def test_a_sound_model_passes(saved: Path) -> None:
    check_model(saved)


def test_a_pretrained_encoder_passes_and_is_published(new_model: Callable, tmp_path: Path) -> None:
    new_model().encoder.save_pretrained(tmp_path / "encoder")
    describe(tmp_path / "encoder", metrics={})
    published = publish(tmp_path / "encoder", tmp_path / "out", licence="apache-2.0")
    assert "model.safetensors" in published.sha256
    assert "AutoModel" in (tmp_path / "out" / "README.md").read_text()


def test_published_model_gives_the_same_bits(saved: Path, tmp_path: Path) -> None:
    published = publish(saved, tmp_path / "out", licence="apache-2.0")
    batch = made_up_window(InputContract())
    with torch.inference_mode():
        ours, theirs = (seisfm.load(folder)(batch) for folder in (saved, published.location))
    assert torch.equal(ours["picking"]["probability"], theirs["picking"]["probability"])
    assert torch.equal(ours["detection"]["probability"], theirs["detection"]["probability"])


def test_fingerprints_are_those_of_the_files(saved: Path, tmp_path: Path) -> None:
    published = publish(saved, tmp_path / "out", licence="apache-2.0")
    found = {file.name: sha256(file) for file in (tmp_path / "out").iterdir()}
    assert published.sha256 == found
    assert set(found) == {"README.md", "config.json", "metrics.json", "model.safetensors", "training.yaml"}


def test_nothing_but_the_model_lies_about_afterwards(model_dir: Path, tmp_path: Path) -> None:
    (model_dir / "checkpoints").mkdir()
    (model_dir / "log.jsonl").write_text("{}\n")
    publish(model_dir, tmp_path / "shelf" / "out", licence="mit")
    assert [path.name for path in (tmp_path / "shelf").iterdir()] == ["out"]
    assert not (tmp_path / "shelf" / "out" / "checkpoints").exists()
    assert not (tmp_path / "shelf" / "out" / "log.jsonl").exists()


def test_what_is_there_stays_unless_forced(saved: Path, tmp_path: Path) -> None:
    target = tmp_path / "out"
    target.mkdir()
    (target / "precious").touch()
    with pytest.raises(FileExistsError, match="--force"):
        publish(saved, target, licence="mit")
    assert (target / "precious").exists()
    publish(saved, target, licence="mit", force=True)
    assert not (target / "precious").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_model_is_not_published_onto_itself(model_dir: Path) -> None:
    with pytest.raises(FileExistsError, match="own folder"):
        publish(model_dir, model_dir, licence="mit", force=True)


def test_a_licence_must_be_told(saved: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"tells no licence.*--license"):
        publish(saved, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_licence_of_real_data_must_be_told(model_dir: Path) -> None:
    source = {"kind": "seisbench", "path": "/data/someone/chile"}
    describe(model_dir, training=TRAINING | {"sources": [source]})
    with pytest.raises(ValueError, match=r"\['chile'\].*--data-license"):
        make_card(read_facts(model_dir), licence="mit")
    card = str(make_card(read_facts(model_dir), licence="mit", data_licence="CC-BY-4.0"))
    assert "| chile | seisbench | all records | CC-BY-4.0 | training |" in card
    assert "/data/someone" not in card
    assert "synthetic seismograms" not in card


def test_a_written_card_is_kept(model_dir: Path, tmp_path: Path) -> None:
    card = write_card(model_dir, "mit")
    card.write_text(card.read_text() + "\nBy hand.\n")
    publish(model_dir, tmp_path / "out")
    assert "By hand." in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(ValueError, match=r"says license mit, and you say apache-2\.0"):
        publish(model_dir, tmp_path / "other", licence="apache-2.0")


def test_the_card_tells_what_the_run_left(saved: Path) -> None:
    card = make_card(read_facts(saved), licence="apache-2.0")
    assert card.data.to_dict()["license"] == "apache-2.0"
    assert card.data.to_dict()["library_name"] == "seisfm"
    assert {"picking", "detection", "seismology"} <= set(card.data.to_dict()["tags"])
    for expected in (
        "# tiny-picker",
        "| sampling rate | 20 to 500 Hz",
        "| seisfm.data.synthesis | synthetic | 40 events |",
        "| learning_rate | 0.002 |",
        "0.8 (0.7 to 0.9)",
        "- **f1**: 2 · precision",
        "All training data are synthetic",
        "| wall_time_s | 1.5 |",
        'seisfm.Picker.from_pretrained("tiny-picker")',
    ):
        assert expected in str(card)


def test_the_card_is_read_back_by_the_hub_library(model_dir: Path) -> None:
    card = ModelCard.load(write_card(model_dir, "apache-2.0"))
    assert card.data.license == "apache-2.0"
    assert card.data.metrics == ["f1"]


def test_the_card_names_the_data_of_the_base(model_dir: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    (base / "training.yaml").write_text(
        yaml.safe_dump({"sources": [{"kind": "synthetic", "num_events": 5, "synthesis": {}}]})
    )
    describe(model_dir, training=TRAINING | {"base": str(base)})
    facts = read_facts(model_dir)
    assert [fact.stage for fact in facts.data()] == ["training", "training of the base model"]
    assert "made from `base`" in str(make_card(facts, licence="mit"))


def test_the_card_knows_networks_and_a_base_that_comes_along(model_dir: Path) -> None:
    networks = [{"synthetic": {"stations": [4, 12]}, "seed": 0}]
    describe(model_dir, training={"base": "seisfm-tiny", "networks": networks})
    own, *of_base = read_facts(model_dir).data()
    assert (own.kind, own.amount, own.stage) == ("synthetic", "endless networks", "training")
    assert "ncedc_phasenet" in {fact.name for fact in of_base}


def test_the_card_of_a_listening_picker_asks_for_stations(model_dir: Path) -> None:
    config = json.loads((model_dir / "config.json").read_text())
    assert "stations=" not in str(make_card(read_facts(model_dir), licence="mit", data_licence="mit"))
    config["heads"]["picking"] = {"network": {"num_layers": 2}}
    (model_dir / "config.json").write_text(json.dumps(config))
    assert "stations=" in str(make_card(read_facts(model_dir), licence="mit", data_licence="mit"))


def test_a_model_without_a_run_is_said_to_be_unknown(model_dir: Path) -> None:
    (model_dir / "training.yaml").unlink()
    (model_dir / "metrics.json").unlink()
    card = str(make_card(read_facts(model_dir), licence="mit"))
    assert "training data are unknown" in card
    assert "No scores were recorded" in card


def test_no_folder() -> None:
    with pytest.raises(FileNotFoundError, match="expected the folder of a saved model"):
        check_model("nowhere")


def test_no_contract(model_dir: Path) -> None:
    config = json.loads((model_dir / "config.json").read_text())
    config["encoder"]["input_contract"] = None
    (model_dir / "config.json").write_text(json.dumps(config))
    with pytest.raises(CheckError, match="has no input_contract"):
        check_model(model_dir)
    with pytest.raises(ContractError, match="has no input_contract"):
        read_facts(model_dir)


def test_no_weights(model_dir: Path) -> None:
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(CheckError, match="there are no weights"):
        check_model(model_dir)


def test_missing_weights(model_dir: Path) -> None:
    file = model_dir / "model.safetensors"
    weights = load_file(file)
    weights.pop(ENCODER_BIAS)
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(CheckError, match=rf"missing.*{re.escape(ENCODER_BIAS)}"):
        check_model(model_dir)


def test_weights_that_are_not_finite(model_dir: Path) -> None:
    file = model_dir / "model.safetensors"
    weights = load_file(file)
    weights[ENCODER_BIAS][0] = torch.nan
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(CheckError, match=rf"not finite: \['{re.escape(ENCODER_BIAS)}'\]"):
        check_model(model_dir)


def test_truncated_weights(model_dir: Path) -> None:
    file = model_dir / "model.safetensors"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(CheckError, match="save the model again"):
        check_model(model_dir)


def test_unreadable_settings(model_dir: Path) -> None:
    (model_dir / "training.yaml").write_text("a: [")
    with pytest.raises(CheckError, match="is no YAML"):
        check_model(model_dir)


def test_pickles_are_found_by_what_they_are(model_dir: Path) -> None:
    torch.save({"weights": torch.zeros(2)}, model_dir / "innocent.dat")
    with pytest.raises(CheckError, match=r"innocent\.dat is a pickle"):
        check_model(model_dir)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("optimizer.pt", b"", True),
        ("state.dat", b"\x80\x04\x95\x00", True),
        ("picture.png", b"\x89PNG", False),
        ("archive.zip", b"PK\x03\x04figures/one.png", False),
    ],
)
def test_is_pickle(tmp_path: Path, name: str, content: bytes, expected: bool) -> None:
    (tmp_path / name).write_bytes(content)
    assert is_pickle(tmp_path / name) is expected


def test_a_changed_weight_is_noticed(saved: Path, model_dir: Path) -> None:
    file = model_dir / "model.safetensors"
    weights = load_file(file)
    weights[ENCODER_BIAS] += 1e-3
    save_file(weights, file, metadata={"format": "pt"})
    assert same(answers(open_model(saved)), answers(open_model(saved)))
    assert not same(answers(open_model(saved)), answers(open_model(model_dir)))


@pytest.fixture
def adapter_dir(model_dir: Path, tmp_path: Path) -> Path:
    """A real adapter of the model beside it."""
    folder = tmp_path / "region"
    tunable = apply_method(seisfm.load(model_dir), MethodConfig(kind="lora", rank=2))
    save_adapter(tunable, folder, ModelFolder.find(model_dir))
    describe(folder)
    return folder


def test_an_adapter_is_published_beside_its_base(adapter_dir: Path, tmp_path: Path) -> None:
    publish(adapter_dir, tmp_path / "out", licence="mit")
    assert same(answers(open_model(adapter_dir)), answers(open_model(tmp_path / "out")))
    card = ModelCard.load(tmp_path / "out" / "README.md")
    assert "an adapter (LORA) on top of `tiny-picker`" in card.text
    assert card.data.to_dict().get("base_model") is None


def test_an_adapter_does_not_go_where_its_base_is_not(adapter_dir: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="needs its base model"):
        publish(adapter_dir, tmp_path / "elsewhere" / "out", licence="mit")
    with pytest.raises(CheckError, match="publish the base, or merge the two"):
        publish(adapter_dir, "hub:somebody/region", licence="mit")
    assert not (tmp_path / "elsewhere" / "out").exists()
