"""Fine-tuning a diffusion model by low-rank adaptation (LoRA) on the user's own images.

noising       what is added to latents, and what a denoiser should answer
denoisers     how the denoiser of each kind of pipeline is called
adapters      the low-rank layers: adding, choosing, taking out
groups        which images belong to which LoRA
task          the training itself
"""

from augforge.optional import require

require("diffusers", "transformers", "peft", who="a LoRA")
