"""What generators share that move an image and keep its content: its annotations follow the same geometry."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from augforge.stages.generator import GenerationInput, Generator

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from augforge.algorithms.geometry import Geometry
    from augforge.data.sample import Sample


class FollowingGenerator(Generator):
    """A generator whose images show what their parents show: boxes, masks and the like go where the pixels go."""

    min_visibility: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="Keep a moved box if at least this share of it lies inside the image.",
    )

    uses_pictures: ClassVar[frozenset[str] | None] = None

    def pictures_after(self, item: GenerationInput, geometry: Geometry) -> dict[str, NDArray[Any]]:
        """The pictures that go with the first parent, such as its mask, after its image went through `geometry`."""
        from augforge.data.pictures import move_pictures

        parent = item.job.parents[0]
        return move_pictures(item.pictures[0], geometry, (parent.height, parent.width)) if item.pictures else {}

    def annotations_after(self, parent: Sample, geometry: Geometry) -> dict[str, Any]:
        """The annotations of a parent after its upright image went through `geometry`."""
        from augforge.data.annotations import move_annotations

        if not parent.annotations or not geometry.ops:
            return dict(parent.annotations)
        return move_annotations(
            parent.annotations, geometry.point_map((parent.height, parent.width)), self.min_visibility
        )

    def moved_by(self, parent: Sample, geometry: Geometry) -> dict[str, Any]:
        """What is recorded of how a parent's upright image was moved: enough to `augforge.undo` it."""
        return {"moved": {"size": [parent.height, parent.width], "ops": geometry.plain()}}
