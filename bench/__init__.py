"""Measurements of speed and size: `python -m bench` runs all of them, `python -m bench NAME…` some."""
