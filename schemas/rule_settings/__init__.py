"""Settings of the rules: every threshold, with its unit and default, and the values a campaign has of its own."""
