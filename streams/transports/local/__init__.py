"""The embedded durable log: one SQLite file, one process, no broker."""
