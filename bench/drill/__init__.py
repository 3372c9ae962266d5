"""The drill: ringwatch's processes on a real Apache Kafka, broken on purpose under load, and what came of it."""
