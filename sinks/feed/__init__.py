"""The HTTP side out: alerts, suppressions and rolling windows, as pages and as a stream."""
