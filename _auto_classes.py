"""Makes `AutoModel.from_pretrained` know our models after `import seisfm`, without loading torch to do so.

Registering needs the model classes, and those need torch and transformers: seconds, which `seisfm --help` or
a script that only reads picks should not pay. So the registration waits until transformers' own Auto classes
are loaded, which happens before anybody can call them.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

_PACKAGE = __name__.rpartition(".")[0]
_AUTO_CONFIG = "transformers.models.auto.configuration_auto"
_AUTO_MODEL = "transformers.models.auto.modeling_auto"
_OURS = (f"{_PACKAGE}.foundation.", f"{_PACKAGE}.heads.")
_loading: set[str] = set()
"""Watched modules that are half-way through their own import."""


def register_when_needed() -> None:
    """Register our models with transformers now if its Auto classes are loaded, else as soon as they are."""
    if _AUTO_CONFIG in sys.modules:
        _register_if_ready()
    elif not any(isinstance(finder, _Watcher) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Watcher())


def _register_if_ready() -> None:
    """Import the model classes, which register themselves, once nothing that they need is half imported.

    Until then the same question is asked again whenever a watched module is done.
    """
    if not _loading and _AUTO_CONFIG in sys.modules:
        import_module(f"{_PACKAGE}.heads.task_model")


def _is_watched(name: str) -> bool:
    return name in (_AUTO_CONFIG, _AUTO_MODEL) or name.startswith(_OURS)


class _Watcher(MetaPathFinder):
    """Lets the watched modules be found as ever, and adds the registration to the end of their loading."""

    def __init__(self) -> None:
        self._searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not _is_watched(fullname) or self._searching:
            return None
        self._searching = True
        try:
            spec = find_spec(fullname)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _RegisteringLoader(spec.loader)
        return spec


class _RegisteringLoader(Loader):
    """The module's own loader, and then the registration."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        # The module goes on under its own loader: inspect and pickle ask it for its source.
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        _loading.add(module.__name__)
        try:
            self._loader.exec_module(module)
        finally:
            _loading.discard(module.__name__)
        _register_if_ready()
