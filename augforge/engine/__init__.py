"""Runs recipes: plans, batches, workers, and a runner for each kind of stage."""
