"""Stages: generators, filters, selectors, trainers, labelers, splitters. Begin with `stage.py`."""
