"""Rolling counts on real Apache Kafka: ringwatch's windows against those of other stream processors."""
