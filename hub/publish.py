"""Publishing a model: checked, described, copied whole or not at all, and opened again from where it lies."""

from __future__ import annotations

import hashlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import HfApi, ModelCard

from .card import make_card
from .checks import CheckError, answers, check_model, open_model, same
from .facts import read_facts

PUBLISHED_SUFFIXES = (".safetensors", ".json", ".yaml", ".md", ".parquet")
"""Of the files in the folder itself. Checkpoints and logs, in folders below, stay at home."""

HUB = "hub:"


@dataclass(frozen=True, kw_only=True)
class Published:
    """Where a model lies now (a folder, or `hub:owner/name`), and the SHA-256 of each of its files."""

    location: str
    sha256: dict[str, str]


def publish(
    model_dir: str | Path,
    destination: str | Path,
    *,
    licence: str | None = None,
    data_licence: str | None = None,
    force: bool = False,
) -> Published:
    """Check a model and publish it with its card.

    destination: a folder, or `hub:owner/name` for a repository on the hub.
    licence, data_licence: see `hub.card.make_card`. A README.md that tells a licence is kept as it is.
    force: replace a folder that is there already.

    Raises CheckError where the model must not be published, FileExistsError where something is there already,
    ValueError where a licence is missing or contradicts the card.
    """
    source = Path(model_dir)
    check_model(source)
    card = _card(source, licence, data_licence)
    if str(destination).startswith(HUB):
        return _to_hub(source, card, str(destination).removeprefix(HUB))
    return _to_folder(source, card, Path(destination), force)


def _card(source: Path, licence: str | None, data_licence: str | None) -> ModelCard:
    """The card that somebody has written or completed, else one made from the run."""
    file = source / "README.md"
    if file.is_file():
        card = ModelCard(file.read_text(encoding="utf-8"), ignore_metadata_errors=True)
        stated = card.data.get("license")
        if stated and licence not in (None, stated):
            raise ValueError(
                f"{file} says license {stated}, and you say {licence}: remove the one that is wrong"
            )
        if stated:
            return card
    return make_card(read_facts(source), licence, data_licence)


def _to_folder(source: Path, card: ModelCard, target: Path, force: bool) -> Published:
    if target.resolve() == source.resolve():
        raise FileExistsError(f"{target} is the model's own folder: publish it to another one")
    if target.exists() and not force:
        raise FileExistsError(f"{target} is there already: give another place, or force=True (--force)")
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = target.parent / f".{target.name}.{os.getpid()}.partial"
    try:
        digests = _stage(source, card, staged)
        _replace(target, staged)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Published(location=str(target), sha256=digests)


def _stage(source: Path, card: ModelCard, staged: Path) -> dict[str, str]:
    """Copy what is published into a new folder, and see that the copy answers like the original."""
    staged.mkdir(parents=True)
    for file in sorted(source.iterdir()):
        if file.is_file() and file.suffix in PUBLISHED_SUFFIXES:
            shutil.copyfile(file, staged / file.name)
    (staged / "README.md").write_text(str(card), encoding="utf-8")
    if not same(answers(open_model(source)), answers(open_model(staged))):
        raise CheckError(f"the copy of {source} answers differently: its files do not hold all of the model")
    return {file.name: sha256(file) for file in sorted(staged.iterdir())}


def _replace(target: Path, staged: Path) -> None:
    """Put a folder in another's place; the old one is kept until the new one stands."""
    old = target.parent / f".{target.name}.{os.getpid()}.old"
    if target.exists():
        target.rename(old)
    try:
        staged.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _to_hub(source: Path, card: ModelCard, repo_id: str) -> Published:
    """Upload in one commit. The token is the one of `hf auth login`."""
    facts = read_facts(source)
    if facts.adapter and facts.base_folder:
        raise CheckError(
            f"the adapter {source} needs a base on this computer: publish the base, or merge the two"
        )
    staged = source.parent / f".{source.resolve().name}.{os.getpid()}.partial"
    try:
        digests = _stage(source, card, staged)
        api = HfApi()
        api.create_repo(repo_id, exist_ok=True)
        api.upload_folder(repo_id=repo_id, folder_path=staged, commit_message="Publish with seisfm")
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return Published(location=f"{HUB}{repo_id}", sha256=digests)


def sha256(file: Path) -> str:
    """A file's fingerprint."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
