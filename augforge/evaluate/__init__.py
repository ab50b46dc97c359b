"""What a run is worth: the same learner trained on real images alone and on more, judged by a test set.

    arms        which images each arm trains on, from the run's ledger
    leaks       refuses what has a twin in the test set
    tasks       what is learned, each a file: classes, labels, masks, boxes, retrieval
    probe, network, segmenter, detector, describers    learners: a linear probe on embeddings, networks on pixels
    intervals   means, 95 % t-intervals over seeds, verdicts
    metrics     what can be measured of the images themselves
    evaluation  all of it in order; `evaluate` is the door

Importing this package loads neither torch nor anything larger.
"""

from augforge.evaluate.settings import ARMS, Settings

__all__ = ["ARMS", "Settings"]
