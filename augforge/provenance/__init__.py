"""What a result depends on and where a row came from: lock, drift, diff, lineage."""
