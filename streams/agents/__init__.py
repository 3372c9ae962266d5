"""Stages wired to topics: each turns the records of its log into facts, findings and state, once."""
