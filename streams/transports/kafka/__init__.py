"""Apache Kafka as the log: Faust's transport in slices, and the edges' producer and consumers."""
