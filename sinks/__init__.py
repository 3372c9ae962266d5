"""Where it ends: the history, and the feed to people and programs."""
