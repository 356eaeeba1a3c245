"""What a run delivers: three Parquet files and metadata.json, all or nothing."""
