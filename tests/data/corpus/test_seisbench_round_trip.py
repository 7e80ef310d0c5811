"""From a corpus to SeisBench's format and back to a corpus nothing is lost."""

from seisfm.data.corpus.convert import write_corpus
from seisfm.data.formats.seisbench_format import SeisBenchDataset, write_seisbench


def test_corpus_to_seisbench_and_back(kinds, assert_same_record, tmp_path):
    corpus = write_corpus(kinds, tmp_path / "corpus")
    write_seisbench(corpus, tmp_path / "seisbench")
    dataset = SeisBenchDataset(tmp_path / "seisbench")
    again = write_corpus(dataset, tmp_path / "again")
    for original, *copies in zip(kinds, corpus, dataset, again, strict=True):
        for copy in copies:
            assert_same_record(copy, original)
    columns = [name for name in corpus.index.column_names if name not in ("shard", "row", "offset")]
    assert again.index.select(columns) == corpus.index.select(columns)
