"""Stopping a long run politely: SIGTERM and Ctrl-C are noted, and the run ends after the step at hand."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any


class Stopped(SystemExit):
    """A run that was asked to stop, has saved, and can be resumed.

    It is a SystemExit, so that the process ends with the status that a shell expects of a signal (143 for
    SIGTERM, 130 for Ctrl-C) whoever called the run.
    """

    def __init__(self, signal_number: int, checkpoint: Path):
        super().__init__(128 + signal_number)
        self.exit_status = 128 + signal_number
        self.checkpoint = checkpoint

    def __str__(self) -> str:
        name = signal.Signals(self.exit_status - 128).name
        return (
            f"stopped by {name}; {self.checkpoint} is saved: run the same command again to go on from there"
        )


class StopRequest:
    """Within its `with`, SIGTERM and SIGINT only set `signal_number`; a second signal acts at once, as usual.

    Outside of the main thread Python allows no handlers, so signals keep their usual meaning there.
    """

    _SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self) -> None:
        self.signal_number = 0
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> StopRequest:
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._note) for number in self._SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._restore()

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal_number = number
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._previous = {}
