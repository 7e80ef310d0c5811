"""What is shipped: every folder with code, the YAML, one version everywhere, pinned requirements."""

import re
import tomllib
from pathlib import Path

import pytest
import seisfm
import yaml

ROOT = Path(__file__).parents[1]
NOT_SHIPPED = {"tests", "benchmarks", "examples", "docs", "build", "dist"}
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_the_package_is_this_checkout() -> None:
    assert Path(seisfm.__file__).parent == ROOT, (
        "the suite would test another copy: make test installs this one"
    )


def test_packages_are_the_folders_with_code() -> None:
    folders = {
        ".".join(("seisfm", *path.parent.relative_to(ROOT).parts))
        for path in ROOT.rglob("__init__.py")
        if not any(p in NOT_SHIPPED or p.startswith(".") for p in path.relative_to(ROOT).parts[:-1])
    }
    assert sorted(PROJECT["tool"]["setuptools"]["packages"]) == sorted(folders)


def test_no_code_without_an_init_file() -> None:
    lost = [
        path.relative_to(ROOT)
        for path in ROOT.rglob("*.py")
        if not any(p in NOT_SHIPPED or p.startswith(".") for p in path.relative_to(ROOT).parts[:-1])
        and not (path.parent / "__init__.py").is_file()
    ]
    assert not lost, "a wheel would leave these out"


def test_yaml_is_package_data() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["seisfm"]
    shipped = {file for pattern in patterns for file in ROOT.glob(pattern)}
    assert set((ROOT / "configs").rglob("*.yaml")) <= shipped
    assert ROOT / "py.typed" in shipped


def test_one_version_everywhere() -> None:
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    newest = re.search(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert newest
    assert seisfm.__version__ == citation["version"] == newest.group(1)


def test_the_licence_is_whole_and_the_same_everywhere() -> None:
    licence = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in licence
    assert "END OF TERMS AND CONDITIONS" in licence
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert PROJECT["project"]["license"] == citation["license"] == "Apache-2.0"


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [line.split("==") for line in lines if line and not line.startswith("#")]
    return {normal(name): version for name, version in found}


def test_every_direct_requirement_is_pinned() -> None:
    wanted = PROJECT["project"]["dependencies"] + PROJECT["project"]["optional-dependencies"]["dev"]
    names = {normal(re.split(r"[<>=!~\[; ]", requirement)[0]) for requirement in wanted}
    assert names <= set(pins())


def test_pins_are_public_versions() -> None:
    assert all(re.fullmatch(r"[\w.]+", version) for version in pins().values()), "no +cpu, no addresses"


@pytest.mark.parametrize("file", ["Makefile", "constraints.txt", "pyproject.toml", ".ci/run"])
def test_no_host_is_named(file: str) -> None:
    assert not re.search(r"https?://|--index-url|--find-links", (ROOT / file).read_text(encoding="utf-8"))


def test_ci_run_is_executable() -> None:
    assert (ROOT / ".ci" / "run").stat().st_mode & 0o111
