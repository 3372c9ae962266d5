"""The front door: the command line, and which parts run in which process."""
