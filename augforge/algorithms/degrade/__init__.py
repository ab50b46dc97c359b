"""Low quality made of high quality, for training sets of restoration.

Blur, loss of size, noise and JPEG in chains; noise that was mined from real frames, and negatives by turned patches,
after NegVSR (*NegVSR: Augmenting Negatives for Generalized Noise Modeling in Real-world Video Super-Resolution*, Song
et al., AAAI 2024).
"""

from augforge.algorithms.degrade.chain import DRAWS, MINED, STEPS, apply_chain, draw_chain
from augforge.algorithms.degrade.noise_bank import Limits, mine, spread
from augforge.algorithms.degrade.patches import turn_patches

__all__ = ["DRAWS", "MINED", "STEPS", "Limits", "apply_chain", "draw_chain", "mine", "spread", "turn_patches"]
