"""What other stream processors run, in a virtual environment of their own."""
