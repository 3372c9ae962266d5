"""How good the detectors are: run lengths, false alarms, delays; `python -m bench.quality`, all from fixed seeds."""
