"""The model that answers: an encoder with its heads, saved and loaded as one."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

import torch
from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig, PreTrainedModel
from transformers.configuration_utils import SubConfigSpec

from ..configs.loader import as_plain
from ..data.batch import WaveformBatch
from ..foundation.backbones.base import BackboneConfig
from ..foundation.backbones.registry import is_backbone, make_backbone
from ..foundation.contract import InputContract
from ..foundation.features import SeismicFeatures, init_module
from .adapters import check_base, find_base, put_adapter
from .base import Head
from .calibration import Calibration, PickCalibration
from .model_folder import ModelError, ModelFolder, check_weights
from .registry import head_calibration, head_config, make_head


@strict
class SeismicTaskConfig(PreTrainedConfig):
    """An encoder's configuration and the heads on top of it.

    encoder: that of a backbone (`BACKBONES`), with the input contract in it.
    heads: settings of each head, by its name in `HEADS`.
    loss_weights: of each head in the sum that is trained; 1 where not named.
    calibration: numbers of some heads that make their answers as sure as they are right (see
        `heads.calibration`), by name. A model that is fine-tuned starts without: what was fitted to the
        base's answers says nothing of its own.
    base_sha256: of an adapter, the fingerprint of the weights that it was trained on top of.
    """

    model_type = "seisfm_task"
    sub_configs_defaults = {"encoder": SubConfigSpec(config_class=AutoConfig, model_type="seisfm")}  # noqa: RUF012

    encoder: dict | BackboneConfig | None = None
    heads: dict | None = None
    loss_weights: dict | None = None
    calibration: dict | None = None
    base_sha256: str | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        """Fill in what each head takes by default, so that a saved model says all of it.

        Raises ValueError for a head, a setting or a backbone that does not exist.
        """
        self.heads = {
            name: as_plain(dataclasses.asdict(head_config(name, settings or {})))
            for name, settings in (self.heads or {}).items()
        }
        self.loss_weights = dict(self.loss_weights or {})
        strange = sorted(set(self.loss_weights) - set(self.heads))
        if strange:
            raise ValueError(f"loss_weights name {strange}, the model's heads are {sorted(self.heads)}")
        self.calibrate(self.calibration or {})
        super().__post_init__(**kwargs)
        kind = getattr(self.encoder, "model_type", None)
        if not isinstance(self.encoder, BackboneConfig):
            raise ValueError(f"the encoder must be a backbone of seisfm, found {kind!r}")

    def calibrate(self, settings: Mapping[str, Mapping[str, Any]]) -> None:
        """Have heads answer with these calibrations and no others, from now on and when saved.

        Raises ValueError for a head that the model has not, and for settings that do not exist.
        """
        strange = sorted(set(settings) - set(self.heads or {}))
        if strange:
            raise ValueError(f"calibration names {strange}, the model's heads are {sorted(self.heads or {})}")
        made = {name: head_calibration(name, dict(own)) for name, own in settings.items()}
        self.calibration = {name: dataclasses.asdict(own) for name, own in made.items()}

    def calibration_of(self, head: str) -> Calibration:
        """A head's calibration, the identity where it has none."""
        return _known_calibration(head, tuple((self.calibration or {}).get(head, {}).items()))

    def contract(self) -> InputContract:
        """The input contract. Raises ContractError where there is none."""
        return self.encoder.contract()  # type: ignore[union-attr]


@dataclass(frozen=True)
class HeadLosses:
    """What a batch gave each head, by its name: raw outputs, loss, and all figures for the log."""

    heads: dict[str, Head]
    features: SeismicFeatures
    outputs: dict[str, dict[str, Tensor]]
    losses: dict[str, Tensor]
    logs: dict[str, Tensor]

    def answers(self) -> dict[str, dict[str, Tensor]]:
        """In physical terms, of the heads with one answer a window; gradients pass."""
        return {
            name: head.predict(self.outputs[name], None)
            for name, head in self.heads.items()
            if head.grid is None
        }


class SeismicTaskModel(PreTrainedModel):
    """A seismic network that answers questions about windows: phases, detections, and what its heads know.

    `model(batch)` gives each head's answer by name: for `picking` `probability` `(window, class, sample)` of
    P, S and noise, for `detection` `probability` `(window, sample)`. Dense answers are at the samples of the
    batch, whatever its rate; others are one a window, such as `magnitude` and `magnitude_std`.
    """

    config: SeismicTaskConfig
    config_class = SeismicTaskConfig
    base_model_prefix = ""
    main_input_name = "waveform"
    supports_gradient_checkpointing = True
    _no_split_modules = ["Block"]  # noqa: RUF012
    _supports_sdpa = True

    def __init__(self, config: SeismicTaskConfig) -> None:
        super().__init__(config)
        if not config.heads:
            raise ValueError("a task model needs one head or more, found none: name some in `heads`")
        self.encoder = make_backbone(config.encoder)  # type: ignore[arg-type]
        spec = self.encoder.feature_spec
        self.heads = nn.ModuleDict(
            {name: make_head(name, settings, spec) for name, settings in config.heads.items()}
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, Head):
            module.init_prior()
        else:
            init_module(module, self.encoder.config.initializer_range)

    @property
    def contract(self) -> InputContract:
        """What the model wants to be fed."""
        return self.encoder.contract

    def forward(self, batch: WaveformBatch) -> dict[str, dict[str, Tensor]]:
        """Each head's answer.

        Raises ContractError where the batch breaks the input contract.
        """
        features = self.encoder(batch)
        return {name: self.answer(name, features, batch) for name in self.heads}

    def answer(self, name: str, features: SeismicFeatures, batch: WaveformBatch) -> dict[str, Tensor]:
        """What one head makes of the encoder's features of a batch."""
        head = cast("Head", self.heads[name])
        output, calibration = head(features), self.config.calibration_of(name)
        if head.grid is None:
            return head.predict(calibration(output), None)
        # Logits rather than probabilities are interpolated: an arrival's are nearly a parabola.
        output = calibration({key: head.grid.to_samples(values, batch) for key, values in output.items()})
        return head.predict(output, head.grid.observed_at_samples(features["sample_observed"], batch))

    def _each_head(self) -> Iterator[tuple[str, Head]]:
        # An adapter wraps a head in a module of PEFT's that passes every attribute on.
        return cast("Iterator[tuple[str, Head]]", iter(self.heads.items()))

    def compute_loss(self, batch: WaveformBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """The weighted sum of the heads' losses, and their figures as `{head}_{figure}`."""
        result = self.compute_losses(batch)
        weights = self.config.loss_weights or {}
        total = result.features["tokens"].new_zeros((), dtype=result.features["log_gain"].dtype)
        for name, loss in result.losses.items():
            total = total + weights.get(name, 1.0) * loss
        return total, result.logs

    def compute_losses(self, batch: WaveformBatch) -> HeadLosses:
        """Each head's own loss, with what it was made from."""
        features = self.encoder(batch)
        outputs: dict[str, dict[str, Tensor]] = {}
        losses: dict[str, Tensor] = {}
        logs: dict[str, Tensor] = {}
        for name, head in self._each_head():
            outputs[name] = head(features)
            losses[name], figures = head.loss(outputs[name], batch, features)
            logs |= {f"{name}_{figure}": value for figure, value in figures.items()}
        return HeadLosses(dict(self._each_head()), features, outputs, losses, logs)

    @classmethod
    def with_weights(
        cls, config: SeismicTaskConfig, weights: Mapping[str, Tensor], source: str
    ) -> SeismicTaskModel:
        """A float32 model in evaluation mode with exactly these weights.

        Raises ModelError where one is missing, unknown or of another shape: nothing is left random.
        """
        with torch.device("meta"):
            model = cls(config)
        check_weights(weights, model.state_dict(), source)
        model.load_state_dict(
            {name: _full_precision(tensor) for name, tensor in weights.items()}, assign=True
        )
        model.config.name_or_path = source
        return model.eval()


@lru_cache(maxsize=256)
def _known_calibration(head: str, settings: tuple[tuple[str, Any], ...]) -> Calibration:
    return head_calibration(head, dict(settings))


def _full_precision(tensor: Tensor) -> Tensor:
    """Float32, but for what counts rather than weighs (the batches that a norm has seen)."""
    return tensor.float() if tensor.is_floating_point() else tensor


def pick_calibration(model: nn.Module) -> PickCalibration:
    """What a model's picks are worth; the identity for one that nobody calibrated."""
    config = getattr(model, "config", None)
    known = config.calibration_of("picking") if isinstance(config, SeismicTaskConfig) else None
    return known if isinstance(known, PickCalibration) else PickCalibration()


def load_model(
    name_or_path: str | Path, revision: str | None = None, adapter: str | Path | None = None
) -> SeismicTaskModel:
    """Open a model that answers questions about windows, ready to use.

    name_or_path: a model's folder, a hub id, or the folder of an adapter, which knows its base.
    revision: pins a hub id.
    adapter: the folder of an adapter to put on top of `name_or_path`, or its name inside of that folder.

    Raises FileNotFoundError where something is absent, ContractError for a model without an input contract,
    and ModelError for files that are broken or do not fit each other.
    """
    folder = ModelFolder.find(name_or_path, revision)
    if adapter is not None:
        named = folder.path / adapter
        return _load_adapted(ModelFolder.find(named if named.is_dir() else adapter), folder)
    if folder.is_adapter:
        return _load_adapted(folder, find_base(folder))
    return SeismicTaskModel.with_weights(task_config(folder), folder.weights(), folder.source)


def task_config(folder: ModelFolder) -> SeismicTaskConfig:
    """The configuration in a task model's folder, or beside an adapter's weights.

    Raises ContractError without an input contract, and ModelError for another kind of model.
    """
    settings = folder.settings()
    kind = settings.get("model_type")
    if kind != SeismicTaskConfig.model_type:
        hint = "an encoder has no heads yet: fine-tune it" if is_backbone(settings) else "not ours"
        raise ModelError(f"{folder.source} must be a model of type seisfm_task, found {kind!r} ({hint})")
    InputContract.from_dict(settings.get("encoder", {}).get("input_contract"), source=folder.source)
    try:
        return SeismicTaskConfig(**settings)
    except (ValueError, TypeError) as error:
        raise ModelError(f"{folder.source}: config.json does not describe a model ({error})") from error


def encoder_weights(folder: ModelFolder) -> dict[str, Tensor]:
    """The encoder's weights out of a pretrained encoder or a task model, named as in a task model."""
    weights = folder.weights()
    if is_backbone(folder.settings()):
        return {f"encoder.{name}": tensor for name, tensor in weights.items()}
    return {name: tensor for name, tensor in weights.items() if name.startswith("encoder.")}


def _load_adapted(folder: ModelFolder, base: ModelFolder) -> SeismicTaskModel:
    config = task_config(folder)
    check_base(folder, base, config.base_sha256)
    with torch.device("meta"):
        expected = SeismicTaskModel(config).state_dict()
    # The heads come with the adapter; these zeros are never seen.
    heads = {
        name: torch.zeros_like(t, device="cpu") for name, t in expected.items() if name.startswith("heads.")
    }
    model = SeismicTaskModel.with_weights(config, encoder_weights(base) | heads, base.source)
    put_adapter(model, folder)
    return model


AutoConfig.register("seisfm_task", SeismicTaskConfig)
AutoModel.register(SeismicTaskConfig, SeismicTaskModel)
