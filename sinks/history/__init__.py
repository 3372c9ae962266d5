"""The history: everything that happened, in a DuckDB file, for SQL."""
