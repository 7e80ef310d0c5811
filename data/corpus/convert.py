"""Records of any source to a corpus: by several processes, and on from where it was stopped."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import count, islice
from multiprocessing import get_context
from pathlib import Path

from ..records import Record, Skipped, Subset
from .corpus import Corpus
from .shards import CorpusConfig, Part, write_shard
from .writer import begin, finish, finished_part

_whole: Sequence[Record] = ()
"""In a worker: the records that all of its shards come from."""


def write_corpus(records: Iterable[Record], path: str | Path, config: CorpusConfig | None = None) -> Corpus:
    """Write records as a corpus in a new folder. See `convert_to_corpus`."""
    return convert_to_corpus(records, path, config)


def convert_to_corpus(
    records: Iterable[Record],
    path: str | Path,
    config: CorpusConfig | None = None,
    *,
    skipped: Sequence[Skipped] = (),
    workers: int = 1,
    progress: Callable[[int], None] | None = None,
) -> Corpus:
    """Write a data set as a corpus, shard by shard.

    What was begun and stopped, even killed, goes on after the shards that are there, when it is called again
    with the same records and configuration, and gives the same bytes as if it had never been stopped; as do
    any number of workers. Records that cannot be read are left out and listed, with reasons, in skipped.csv.

    records: a sequence that reads its records when they are asked for is read by the workers themselves.
    skipped: what the reader of the source could not use; it goes to skipped.csv too.
    progress: is called with the number of records done, whenever a shard is.

    Raises FileExistsError where the folder holds something else, ValueError where there is no record, or
    where the folder was begun with other ones, OSError where a worker died.
    """
    folder, config = Path(path), config or CorpusConfig()
    begin(folder, config)
    done = 0
    parts: list[Part] = []
    try:
        for part in _written(records, folder, config, workers):
            parts.append(part)
            done += part.num_given
            if progress is not None:
                progress(done)
    except BrokenProcessPool as error:
        raise OSError(
            f"a worker died, perhaps for lack of memory: convert to {folder} again, with fewer workers; "
            f"it goes on after {done} records"
        ) from error
    finish(folder, config, parts, skipped)
    return Corpus(folder)


def _written(records: Iterable[Record], folder: Path, config: CorpusConfig, workers: int) -> Iterator[Part]:
    """The parts of all shards in order, each made where an earlier run has not."""
    if workers < 1:
        raise ValueError(f"workers must be at least 1, found {workers}")
    chunks = enumerate(_chunks(records, config.records_per_shard))
    if workers == 1:
        for number, chunk in chunks:
            yield finished_part(folder, number, chunk, config) or write_shard(number, chunk, folder, config)
        return
    lazy = records if isinstance(records, Sequence) and not isinstance(records, list | tuple) else None
    # A forked copy of a process that runs torch's threads can hang; a fresh one cannot.
    with ProcessPoolExecutor(
        workers, get_context("spawn"), initializer=_keep, initargs=(lazy or (),)
    ) as pool:
        waiting: deque[Part | Future[Part]] = deque()
        for number, chunk in chunks:
            part = finished_part(folder, number, chunk, config)
            given = list(chunk) if lazy is None else None
            waiting.append(part or pool.submit(_work, number, given, len(chunk), folder, config))
            if len(waiting) > 2 * workers:
                yield _result(waiting.popleft())
        yield from map(_result, waiting)


def _chunks(records: Iterable[Record], size: int) -> Iterator[Sequence[Record]]:
    """Runs of `size` records, those of a sequence still unread."""
    if isinstance(records, Sequence):
        for start in range(0, len(records), size):
            yield Subset(records, range(start, min(start + size, len(records))))
        return
    items = iter(records)
    for _ in count():
        chunk = list(islice(items, size))
        if not chunk:
            return
        yield chunk


def _result(part: Part | Future[Part]) -> Part:
    return part.result() if isinstance(part, Future) else part


def _keep(records: Sequence[Record]) -> None:
    global _whole  # noqa: PLW0603  # how a pool's initializer hands something to its tasks
    _whole = records


def _work(
    number: int, records: Sequence[Record] | None, length: int, folder: Path, config: CorpusConfig
) -> Part:
    start = number * config.records_per_shard
    chunk = Subset(_whole, range(start, start + length)) if records is None else records
    return write_shard(number, chunk, folder, config)
