"""What travels: a record per topic, the topic registry, and the settings. Imports none of the other packages."""
