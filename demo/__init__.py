"""The whole path at small scale, in minutes: from synthetic earthquakes to a model and a catalog."""

from .run import DemoConfig, run_demo

__all__ = ["DemoConfig", "run_demo"]
