"""How it flows: ingest, the log, agents with windows and detectors, the log again."""
