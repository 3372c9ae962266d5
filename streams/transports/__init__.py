"""How Faust reaches a log: slices, and the embedded local log."""
