"""Training corpora on disk: Arrow or Parquet shards with one schema for every source."""
