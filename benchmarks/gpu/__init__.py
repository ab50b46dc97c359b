"""All that is measured on a GPU, in one go: `scripts/gpu` runs it, `scripts/gpu-pack` prepares a bare machine."""
