"""seisfm: the open platform for multimodal seismic foundation models."""

from .version import __version__

__all__ = ["__version__"]
