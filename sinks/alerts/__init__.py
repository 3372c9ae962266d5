"""Telling people of alerts: grouping, inhibition, silences, a cap, and webhooks; the words are Alertmanager's."""
