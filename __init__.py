"""seisfm: the open platform for multimodal seismic foundation models.

The names load on first use, so that `import seisfm` takes milliseconds. Our models open through transformers'
`AutoModel` from then on.
"""

from typing import TYPE_CHECKING, Any

from ._auto_classes import register_when_needed
from .version import __version__

if TYPE_CHECKING:
    from .catalog.picker import Picker
    from .data.batch import WaveformBatch
    from .foundation.backbones.seismic import SeismicConfig, SeismicModel
    from .heads.task_model import SeismicTaskModel
    from .heads.task_model import load_model as load

__all__ = [
    "Picker",
    "SeismicConfig",
    "SeismicModel",
    "SeismicTaskModel",
    "WaveformBatch",
    "__version__",
    "load",
]

_HOME = {
    "Picker": ("catalog.picker", "Picker"),
    "SeismicConfig": ("foundation.backbones.seismic", "SeismicConfig"),
    "SeismicModel": ("foundation.backbones.seismic", "SeismicModel"),
    "SeismicTaskModel": ("heads.task_model", "SeismicTaskModel"),
    "WaveformBatch": ("data.batch", "WaveformBatch"),
    "load": ("heads.task_model", "load_model"),
}


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for (PEP 562)."""
    if name not in _HOME:
        raise AttributeError(f"module 'seisfm' has no attribute {name!r}; public are {__all__}")
    from importlib import import_module  # noqa: PLC0415

    module, attribute = _HOME[name]
    value = getattr(import_module(f".{module}", __name__), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


register_when_needed()
