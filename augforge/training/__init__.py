"""Training of our own networks: one loop (`loop.train`), one `TrainingTask` for each architecture.

Importing this package loads no torch; importing one of its modules does.
"""
