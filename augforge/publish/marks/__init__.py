"""Marks of synthetic images: what they say, putting them on without touching a pixel, and looking for them again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from augforge.publish.marks.xmp import add_mark

if TYPE_CHECKING:
    from augforge.publish.marks.sign import Signer

SourceType = Literal["trainedAlgorithmicMedia", "compositeWithTrainedAlgorithmicMedia", "algorithmicallyEnhanced"]
"""IPTC's digital source types of what a model made from text alone, of what a real image conditioned, and of a real
image that an algorithm without a trained model has changed."""


def source_types(
    origins: Mapping[str, str], parents: Mapping[str, Sequence[str]], untrained: Collection[str] = ()
) -> dict[str, SourceType]:
    """The digital source type of every synthetic sample: a composite, if a real image is among its ancestors.

    Args:
        origins: "real" or "synthetic" of every sample by its id.
        parents: the ids of the parents of every sample; a parent that is not in `origins` is taken for a real image.
        untrained: the ids of those that were made without a trained model: they are algorithmically enhanced, unless a
            model has made one of their ancestors.
    """
    real = {identity: origin != "synthetic" for identity, origin in origins.items()}
    composite: dict[str, bool] = {}
    trained: dict[str, bool] = {}
    for identity in origins:
        _settle(identity, parents, lambda one: real.get(one, True) or None, composite)
        _settle(identity, parents, lambda one: False if real.get(one, True) else one not in untrained or None, trained)
    return {one: _type_of(composite[one], trained[one]) for one in origins if not real[one]}


def _type_of(composite: bool, trained: bool) -> SourceType:
    if not trained:
        return "algorithmicallyEnhanced"
    return "compositeWithTrainedAlgorithmicMedia" if composite else "trainedAlgorithmicMedia"


def _settle(
    start: str, parents: Mapping[str, Sequence[str]], own: Callable[[str], bool | None], found: dict[str, bool]
) -> None:
    """Note in `found` of a sample and of its ancestors what is true of them: `own` says it, or else any parent.

    Without recursion, as a line of ancestors can be long; a circle in damaged provenance does not hold it up.
    """
    waiting = [start]
    while waiting:
        identity = waiting[-1]
        above = [parent for parent in parents.get(identity, ()) if parent != identity]
        unknown = [parent for parent in above if parent not in found and parent not in waiting]
        if (known := own(identity)) is not None:
            found[identity] = known
        elif unknown:
            waiting += unknown
            continue
        else:
            found[identity] = any(found.get(parent, False) for parent in above)
        waiting.pop()


@dataclass(frozen=True, slots=True)
class Marker:
    """Marks the bytes of synthetic images: with XMP, and with a C2PA manifest where there is a `signer`."""

    signer: Signer | None = None

    def mark(self, data: bytes, kind: SourceType, identity: str, parents: Sequence[str] = ()) -> bytes | None:
        """The same picture with its marks; None if its file format has no room for them.

        Args:
            data: encoded bytes.
            kind: the digital source type.
            identity: the sample's id.
            parents: SHA-256 of the images that conditioned it.
        """
        marked = add_mark(data, kind, identity)
        if marked is None or self.signer is None:
            return marked
        return self.signer.sign(marked, kind, identity, parents)


def marker_of(mark: bool, sign: bool, certificate: Path | None, key: Path | None) -> Marker | None:
    """What marks images for these choices of a user; None for no marks at all.

    Raises:
        SignError: choices that do not go together, or a certificate or key that cannot be used.
    """
    from augforge.publish.marks.sign import Signer

    _check_choices(mark, sign, certificate, key)
    if certificate is not None and key is not None:
        return Marker(Signer(certificate, key))
    return Marker() if mark else None


def _check_choices(mark: bool, sign: bool, certificate: Path | None, key: Path | None) -> None:
    """SignError for choices that do not go together."""
    from augforge.publish.marks.sign import SignError

    if sign and (certificate is None or key is None):
        raise SignError("--sign needs a certificate and its key", "give --cert CHAIN.pem --key KEY.pem")
    if not sign and (certificate or key):
        raise SignError("--cert and --key are for --sign", "add --sign, or leave them out")
    if sign and not mark:
        raise SignError("--sign and --no-mark exclude each other", "leave one of them out")
