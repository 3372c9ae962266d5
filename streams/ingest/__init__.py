"""Where records come from: the webhook gateway, replayed lines, backfill and the simulator."""
