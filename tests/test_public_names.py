"""`import seisfm`: quick, with every public name, and transformers knows our models afterwards."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import seisfm
from seisfm.heads.task_model import load_model


def run_python(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def task_model(new_model: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    new_model().save_pretrained(folder)
    return folder


def test_every_public_name_is_there() -> None:
    for name in seisfm.__all__:
        assert getattr(seisfm, name) is not None
        assert name in dir(seisfm)
    assert seisfm.load is load_model


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(AttributeError, match=r"no attribute 'Pickr'.*'Picker'"):
        _ = seisfm.Pickr


def test_importing_loads_nothing_heavy() -> None:
    heavy = run_python(
        "import sys, seisfm, seisfm.cli\n"
        "print([m for m in ('torch', 'transformers', 'obspy', 'pandas', 'matplotlib') if m in sys.modules])"
    )
    assert heavy == "[]"


OPEN = "print(type(AutoModel.from_pretrained({folder!r})).__name__)"

ORDERS = {
    "seisfm first": "import seisfm\nfrom transformers import AutoModel\n" + OPEN,
    "transformers first": "from transformers import AutoModel\nimport seisfm\n" + OPEN,
    "the encoder's module first": "import seisfm.foundation.features\nfrom transformers import AutoModel\n"
    + OPEN,
    "only a configuration": (
        "import seisfm\nfrom transformers import AutoConfig\n"
        "print(type(AutoConfig.from_pretrained({folder!r})).__name__.replace('Config', 'Model'))"
    ),
}


@pytest.mark.parametrize(
    "order",
    [name if name == "seisfm first" else pytest.param(name, marks=pytest.mark.slow) for name in ORDERS],
)
def test_auto_model_knows_us(order: str, task_model: Path) -> None:
    assert run_python(ORDERS[order].format(folder=str(task_model))).endswith("SeismicTaskModel")


@pytest.mark.slow
def test_a_watched_module_keeps_its_own_loader() -> None:
    name = run_python(
        "import seisfm, inspect\nimport transformers.models.auto.modeling_auto as m\n"
        "print(type(m.__spec__.loader).__name__, len(inspect.getsource(m)) > 0)"
    )
    assert name == "SourceFileLoader True"
