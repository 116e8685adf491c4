"""What slots and backends achieve, kept over restarts."""
