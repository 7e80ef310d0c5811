"""What the texts say can be done: their Python runs, their commands parse, their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
import typer
from seisfm.cli import app
from seisfm.configs.loader import CONFIG_FOLDER

ROOT = Path(__file__).parents[1]
TEXTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(path: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", path.read_text(encoding="utf-8"), re.S | re.M)


@pytest.mark.parametrize("path", [ROOT / "README.md", ROOT / "docs" / "quickstart.md"], ids=name)
def test_the_python_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (code,) = blocks(path, "python")
    exec(compile(code, name(path), "exec"), {})


def command_lines() -> list[str]:
    whole = [block.replace("\\\n", " ") for path in TEXTS for block in blocks(path, "")]
    lines = [line for block in whole for line in block.splitlines()]
    return [line for line in lines if line.startswith("seisfm ") and line != "seisfm --help"]


@pytest.mark.parametrize("line", command_lines())
def test_the_commands_parse(line: str) -> None:
    words = shlex.split(line)[1:]
    command = typer.main.get_command(app)
    while hasattr(command, "commands"):
        command = command.commands[words.pop(0)]
    command.make_context("seisfm", words)
    named = [word for word in words if word.endswith(".yaml")]
    assert all((CONFIG_FOLDER / word).is_file() for word in named)


@pytest.mark.parametrize("path", TEXTS, ids=name)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)\)", path.read_text(encoding="utf-8"))
    lost = [target for target in targets if not (path.parent / target).exists()]
    assert not lost
