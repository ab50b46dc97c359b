"""Training of our own networks: one loop (`loop.train`), one `TrainingTask` for each architecture.

Importing this package loads no torch; importing one of its modules does, so it asks here whether there is one.
"""

from augforge.optional import require

require("accelerate", "torch", "torchvision", "timm", "safetensors", who="training", extra="train")
