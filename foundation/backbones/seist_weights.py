"""SeisT's published weights as a backbone of ours: names and shapes, in one table.

The weights are published (Li et al. 2024, MIT licence) as pickled `.pth` files. **Their layout is assumed**:
it is taken from the description of the network, not from a file, and where that leaves things open so does
the choice made in `seist.py`. `PUBLISHED_NAMES` is the one place that says which of their names is which of
ours; a file that differs is refused with all names and shapes that find no partner, which is what it takes to
correct the table. Nothing is filled in, and nothing thrown away, in silence.

A converted model is a beginning for fine-tuning. It does not repeat the published predictions to the bit: our
strides are centred, theirs are not.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from ..contract import InputContract, Normalization, WindowRange
from .seist import SeisTConfig, SeisTModel

PUBLISHED_NAMES: dict[str, str] = {
    "stem.{block}.branches.{branch}.0": "stem.{block}.convs.{branch}.depthwise",
    "stem.{block}.branches.{branch}.1": "stem.{block}.convs.{branch}.pointwise",
    "stem.{block}.branch_norm": "stem.{block}.concat_norm",
    "stem.{block}.merge": "stem.{block}.proj",
    "stem.{block}.norm": "stem.{block}.norm",
    "stages.{stage}.aggregation.mix": "stages.{stage}.laa.proj",
    "stages.{stage}.aggregation.norm": "stages.{stage}.laa.norm",
    "stages.{stage}.convs.{layer}.expand": "stages.{stage}.msmc.{layer}.in_proj",
    "stages.{stage}.convs.{layer}.expand_norm": "stages.{stage}.msmc.{layer}.in_norm",
    "stages.{stage}.convs.{layer}.convs.{kernel}": "stages.{stage}.msmc.{layer}.convs.{kernel}",
    "stages.{stage}.convs.{layer}.conv_norm": "stages.{stage}.msmc.{layer}.conv_norm",
    "stages.{stage}.convs.{layer}.project": "stages.{stage}.msmc.{layer}.out_proj",
    "stages.{stage}.convs.{layer}.norm": "stages.{stage}.msmc.{layer}.out_norm",
    "stages.{stage}.blocks.{layer}.path_norm": "stages.{stage}.mpt.{layer}.norm0",
    "stages.{stage}.blocks.{layer}.to_attention": "stages.{stage}.mpt.{layer}.attn_proj",
    "stages.{stage}.blocks.{layer}.attention.query": "stages.{stage}.mpt.{layer}.attn.q_proj",
    "stages.{stage}.blocks.{layer}.attention.key": "stages.{stage}.mpt.{layer}.attn.k_proj",
    "stages.{stage}.blocks.{layer}.attention.value": "stages.{stage}.mpt.{layer}.attn.v_proj",
    "stages.{stage}.blocks.{layer}.to_conv": "stages.{stage}.mpt.{layer}.conv_proj",
    "stages.{stage}.blocks.{layer}.conv": "stages.{stage}.mpt.{layer}.conv",
    "stages.{stage}.blocks.{layer}.out": "stages.{stage}.mpt.{layer}.out_proj",
    "stages.{stage}.blocks.{layer}.feed_forward_norm": "stages.{stage}.mpt.{layer}.norm1",
    "stages.{stage}.blocks.{layer}.feed_forward.up": "stages.{stage}.mpt.{layer}.mlp.lin0",
    "stages.{stage}.blocks.{layer}.feed_forward.down": "stages.{stage}.mpt.{layer}.mlp.lin1",
    "up.{layer}.conv": "out_head.up_layers.{layer}.conv",
    "up.{layer}.norm": "out_head.up_layers.{layer}.norm",
}
"""Our layers, and what the published file is assumed to call them. `{…}` are numbers, the same in both."""

PUBLISHED_OUTPUTS = ("out_head.out_conv.", "out_head.linear.")
"""What the published output layers' names begin with: our heads take their place."""

OURS_ALONE = ("missing.", "pooling.")
"""Layers that the published network does not have."""

WRAPPERS = ("model_dict", "state_dict", "model")
"""Where a checkpoint of a training run keeps the weights."""

_NUMBER = re.compile(r"\{(\w+)\}")


class WeightsError(ValueError):
    """A file of published weights that is not what it is taken for."""


@dataclass(frozen=True)
class ConvertedSeisT:
    """A model with the published weights, and what had no partner.

    untrained: our own weights that the published network does not have, or not for its task.
    unused: names in the file that our heads take the place of.
    """

    model: SeisTModel
    untrained: tuple[str, ...]
    unused: tuple[str, ...]


def published_contract() -> InputContract:
    """What the published models were fed: Z, N, E at 50 Hz, each by its own scale, 8192 samples."""
    return InputContract(
        model_rate_hz=50.0,
        components=("Z", "N", "E"),
        window_s=WindowRange(preferred=163.84),
        normalization=Normalization(scope="component"),
        highpass_hz=None,
    )


def convert_seist(path: str | Path, size: str, dense: bool = True) -> ConvertedSeisT:
    """Read a published `.pth` file as a SeisT of a size, ready to be saved or fine-tuned.

    The file is a pickle; it is read as tensors alone (`weights_only`), and whatever else it holds is refused.

    dense: whether the file is that of picking, which has the way up. Of another task's, the way up stays
        untrained.

    Raises FileNotFoundError without the file, and WeightsError where it is not tensors, or they do not fit.
    """
    model = SeisTModel(SeisTConfig.of_size(size, published_contract()))
    model.missing.value.data.zero_()  # a missing component was a zero to the published network
    published = read_published(Path(path))
    ours = model.state_dict()
    untrained = OURS_ALONE if dense else (*OURS_ALONE, "up.")
    wanted = {published_name(name): name for name in ours if not name.startswith(untrained)}
    unused = {name for name in published if name.startswith(PUBLISHED_OUTPUTS)}
    found = {wanted[name]: tensor for name, tensor in published.items() if name in wanted}
    _check(
        path, found, {name: ours[name] for name in wanted.values()}, published.keys() - unused - wanted.keys()
    )
    fitted = {name: tensor.reshape(ours[name].shape) for name, tensor in found.items()}
    model.load_state_dict(ours | fitted)
    return ConvertedSeisT(
        model=model.eval(),
        untrained=tuple(sorted(ours.keys() - fitted.keys())),
        unused=tuple(sorted(unused)),
    )


def read_published(path: Path) -> dict[str, Tensor]:
    """The tensors of a published file by name, out of the wrappers of training runs."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}: expected one of SeisT's published .pth files")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # what is no pickle, or a malicious one, fails in many ways
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise WeightsError(
            f"{path} cannot be read as tensors alone ({reason}), and nothing else is ever unpickled: "
            "fetch it again, or save its state_dict() by itself"
        ) from error
    for wrapper in WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping) or not all(isinstance(part, Tensor) for part in content.values()):
        raise WeightsError(f"{path} must hold tensors by name, perhaps under one of {WRAPPERS}")
    return {str(name).removeprefix("module."): tensor for name, tensor in content.items()}


def published_name(name: str) -> str:
    """What the published file is assumed to call a weight, or buffer, of ours."""
    layer, _, kind = name.rpartition(".")
    for ours, theirs in PUBLISHED_NAMES.items():
        match = re.fullmatch(_NUMBER.sub(r"(?P<\1>\\d+)", ours.replace(".", r"\.")), layer)
        if match:
            return f"{theirs.format(**match.groupdict())}.{kind}"
    raise WeightsError(f"PUBLISHED_NAMES does not say what the published files call {name}")


def _check(
    path: str | Path, found: Mapping[str, Tensor], wanted: Mapping[str, Tensor], strange: set[str]
) -> None:
    """Raise WeightsError unless what was found is what was wanted, but for lengths of one in a shape."""
    missing = [f"{published_name(name)} (our {name})" for name in wanted if name not in found]
    shapes = [
        f"{published_name(name)} {tuple(tensor.shape)} instead of {tuple(wanted[name].shape)}"
        for name, tensor in found.items()
        # A 1 × 1 convolution there is a linear layer here.
        if [n for n in tensor.shape if n != 1] != [n for n in wanted[name].shape if n != 1]
    ]
    problems = [
        f"{len(names)} {what}: {', '.join(sorted(names))}"
        for what, names in (("missing", missing), ("left over", strange), ("of another shape", shapes))
        if names
    ]
    if problems:
        raise WeightsError(
            f"{path} does not fit: {'; '.join(problems)}. If size and task are right, "
            "PUBLISHED_NAMES assumes a layout that the file does not have: correct it there"
        )
