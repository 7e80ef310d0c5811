"""What a fine-tuning run begins with: a pretrained encoder, a model that already has heads, or neither."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from ..foundation.backbones.base import BackboneConfig
from ..foundation.backbones.registry import is_backbone, saved_backbone_config
from ..foundation.contract import InputContract
from ..heads.model_folder import ModelError, ModelFolder
from ..heads.task_model import SeismicTaskConfig, SeismicTaskModel, encoder_weights, task_config

Heads = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class StartingModel:
    """A model before its fine-tuning.

    base: where its weights are from, None for random ones.
    inherited_heads: heads that the base has taught already; the others begin at random.
    """

    model: SeismicTaskModel
    base: ModelFolder | None
    inherited_heads: tuple[str, ...]

    @property
    def base_sha256(self) -> str | None:
        """The fingerprint of the base's weights."""
        return None if self.base is None else self.base.sha256()


def new_model(
    encoder: BackboneConfig, heads: Heads, loss_weights: Mapping[str, float], seed: int
) -> StartingModel:
    """A model with random weights that depend on the seed alone."""
    torch.manual_seed(seed)
    config = SeismicTaskConfig(encoder=encoder, heads=dict(heads), loss_weights=dict(loss_weights))
    return StartingModel(SeismicTaskModel(config), None, ())


def model_on_base(
    base: str, heads: Heads, loss_weights: Mapping[str, float], seed: int, revision: str | None = None
) -> StartingModel:
    """A model on top of a pretrained encoder or task model.

    base: a folder or a hub id. A head that the base has with the same settings goes on from there. So does
        one that shall listen to other stations (`network`) and does not yet: it answers as before until it
        has learned to (see `heads.network_start`).

    Raises FileNotFoundError, ContractError and ModelError as `load_model` does.
    """
    folder = ModelFolder.find(base, revision)
    encoder, base_heads = _base_config(folder)
    started = new_model(encoder, heads, loss_weights, seed)
    config = started.model.config
    own_heads = config.heads or {}
    inherited = tuple(
        name for name, settings in own_heads.items() if _goes_on(settings, base_heads.get(name))
    )
    fresh = {name: t for name, t in started.model.state_dict().items() if name.startswith("heads.")}
    known = {
        name: tensor
        for name, tensor in folder.weights().items()
        if name.startswith(tuple(f"heads.{head}." for head in inherited))
    }
    weights = fresh | known | encoder_weights(folder)
    return StartingModel(SeismicTaskModel.with_weights(config, weights, folder.source), folder, inherited)


def _goes_on(settings: Mapping[str, Any], of_base: Mapping[str, Any] | None) -> bool:
    """Whether a head with these settings may begin with the weights of the base's."""
    if of_base is None or of_base.get("network") is not None:
        return of_base == settings
    return {**of_base, "network": None} == {**settings, "network": None}


def _base_config(folder: ModelFolder) -> tuple[BackboneConfig, dict[str, Any]]:
    """The encoder's configuration and the settings of the heads of a base."""
    if folder.is_adapter:
        raise ModelError(f"the base {folder.source} is an adapter: merge it into a model first")
    settings = folder.settings()
    if not is_backbone(settings):
        config = task_config(folder)
        return config.encoder, config.heads  # type: ignore[return-value]
    InputContract.from_dict(settings.get("input_contract"), source=folder.source)
    try:
        return saved_backbone_config(settings), {}
    except (ValueError, TypeError) as error:
        raise ModelError(f"{folder.source}: config.json does not describe an encoder ({error})") from error
