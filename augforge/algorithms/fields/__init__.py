"""Random fields: transforms whose parameters are smooth random functions of the place.

After *Random Field Augmentations for Self-Supervised Representation Learning* (Mansfield et al., 2023, arXiv
2311.03629): each parameter of an affine or colour transform is a Gaussian random field of its own. Its spectrum is not
published; ours is that of a Matérn field. The geometric part is `augforge.algorithms.geometry.Fields`.
"""

from augforge.algorithms.fields.colour import COLOURS, recolour
from augforge.algorithms.fields.spectrum import NODES, FieldSpec, gaussian_field, node_field, periodic_field

__all__ = ["COLOURS", "NODES", "FieldSpec", "gaussian_field", "node_field", "periodic_field", "recolour"]
