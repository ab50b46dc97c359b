"""Columns of texts without a Python object for each: as fixed-width bytes, as hashes, and as numbers of texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, overload

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Bytes = NDArray[np.bytes_]
Hashes = NDArray[np.uint64]
Codes: TypeAlias = "NDArray[np.signedinteger[Any]]"

PAGE = 65_536
"""So many texts are looked through for one that was told before."""
HASHED = 65_536  # at a time, so that the copy with whole words stays small
_FACTOR, _SHIFT = np.uint64(0x9E3779B97F4A7C15), np.uint64(29)


def bytes_of(texts: pa.Array) -> Bytes:
    """(n,) texts in UTF-8, as wide as the longest, "" for null; not copied where all have one length, as ids do.

    Bytes of zero at the end of a text count for nothing.
    """
    _, offsets, data = texts.buffers()
    if not len(texts) or data is None:
        return np.zeros(len(texts), dtype="S1")
    bounds = np.frombuffer(offsets, dtype=np.int32, count=len(texts) + 1, offset=4 * texts.offset)
    letters = np.frombuffer(data, dtype=np.uint8)[bounds[0] : bounds[-1]]
    lengths = np.diff(bounds)
    width = int(lengths.max())
    if width and int(lengths.min()) == width:
        return letters.view(f"S{width}")
    found = np.zeros((len(texts), max(1, width)), dtype=np.uint8)
    found[np.arange(found.shape[1]) < lengths[:, None]] = letters
    return found.reshape(-1).view(f"S{found.shape[1]}")


def hashes_of_texts(texts: Bytes) -> Hashes:
    """(n,) a hash of each text, the same whatever the width of the array; different texts rarely share one."""
    found = np.zeros(len(texts), dtype=np.uint64)
    for start in range(0, len(texts), HASHED):
        hashed = found[start : start + HASHED]
        for word in _words(texts[start : start + HASHED]).T:
            mixed = (hashed ^ word) * _FACTOR
            hashed[:] = np.where(word == 0, hashed, mixed ^ (mixed >> _SHIFT))
    return found


def order_of(texts: Bytes) -> NDArray[np.int64]:
    """(n,) the places of texts in their order; of equal ones the first comes first. As `argsort`, and faster.

    By the first eight bytes, and where these are equal by the next ones. Beside the texts 24 bytes each are held.
    """
    first = _word(texts, 0)
    order = np.argsort(first)
    first = first[order]
    equal = first[1:] == first[:-1]
    del first
    for start in range(8, max(9, texts.itemsize), 8):
        tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
        if not len(tied):
            break
        run = np.cumsum(np.append(True, ~equal)[tied])  # texts that are equal so far have one number
        places = order[tied]
        word = _word(texts[places], start)
        by = np.lexsort((places, word, run))
        order[tied], word = places[by], word[by]
        same = (word[1:] == word[:-1]) & (run[1:] == run[:-1])
        equal[tied[:-1][np.diff(tied) == 1]] = same[np.diff(tied) == 1]
    return order


def _word(texts: Bytes, start: int) -> NDArray[np.uint64]:
    """(n,) eight bytes of each text from `start` on, as numbers in the order of the texts; zeros beyond the end."""
    letters = np.ascontiguousarray(texts).view(np.uint8).reshape(len(texts), texts.itemsize)[:, start : start + 8]
    padded = np.zeros((len(texts), 8), dtype=np.uint8)
    padded[:, : letters.shape[1]] = letters
    return padded.view(">u8")[:, 0].astype(np.uint64)


def _words(texts: Bytes) -> NDArray[np.uint64]:
    """(n, w) the texts as words of 8 bytes, of zeros at the end."""
    padded = np.zeros((len(texts), -(-texts.itemsize // 8) * 8), dtype=np.uint8)
    padded[:, : texts.itemsize] = np.ascontiguousarray(texts).view(np.uint8).reshape(len(texts), texts.itemsize)
    return padded.view(np.uint64)


class TextView(Sequence[str]):
    """Texts (n,) in UTF-8 as a sequence of `str`, each of which is made when it is asked for."""

    def __init__(self, texts: Bytes) -> None:
        self._texts = texts

    def __len__(self) -> int:
        return len(self._texts)

    @overload
    def __getitem__(self, place: int) -> str: ...

    @overload
    def __getitem__(self, place: slice) -> Sequence[str]: ...

    def __getitem__(self, place: int | slice) -> str | Sequence[str]:
        found = self._texts[place]
        return TextView(found) if isinstance(found, np.ndarray) else str(found.decode())

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self._texts, dtype=dtype, copy=copy)


class Texts:
    """Texts by number, in a list that only grows; -1 stands for None.

    A text that was told before has its number still, unless `PAGE` others came since: so a million different ones take
    little more than their letters.
    """

    def __init__(self) -> None:
        self._pages: list[pa.Array] = []
        self._open: list[str] = []
        self._numbers: dict[str | None, int] = {None: -1}
        self._all = np.array([None], dtype=object)

    def __len__(self) -> int:
        return PAGE * len(self._pages) + len(self._open)

    def __iter__(self) -> Iterator[str]:
        for page in self._pages:
            yield from page.to_pylist()
        yield from self._open

    def numbers(self, texts: Sequence[str | None]) -> list[int]:
        """(n,) the numbers of `texts` (n,), new ones for those that are new."""
        found = list(map(self._numbers.get, texts))
        if None not in found:
            return found  # type: ignore[return-value]
        return [self._number(text) if number is None else number for text, number in zip(texts, found, strict=True)]

    def _number(self, text: str | None) -> int:
        if (known := self._numbers.get(text)) is not None:
            return known
        if len(self._open) == PAGE:
            self._pages.append(pa.array(self._open, pa.string()))
            self._open, self._numbers = [], {None: -1}
        number = self._numbers[text] = len(self)
        self._open.append(str(text))
        return number

    def objects(self, codes: Codes) -> NDArray[np.object_]:
        """(n,) the texts with these numbers, None for -1."""
        if not self._pages:
            if len(self._all) != len(self) + 1:
                self._all = np.array([*self._open, None], dtype=object)
            return self._all[codes]
        used, places = np.unique(codes, return_inverse=True)
        texts = [None if number < 0 else self._text(number) for number in used.tolist()]
        return np.array([*texts, None], dtype=object)[places]

    def _text(self, number: int) -> str:
        page, place = divmod(number, PAGE)
        return str(self._pages[page][place].as_py()) if page < len(self._pages) else self._open[place]

    def arrow(self, codes: Codes) -> pa.DictionaryArray:
        """(n,) the texts with these numbers, null for -1; its dictionary has those that are there, and no others."""
        used, places = np.unique(codes, return_inverse=True)
        missing = int(len(used) > 0 and used[0] < 0)
        texts = pa.array(self.objects(used[missing:]), pa.string())
        return pa.DictionaryArray.from_arrays(pa.array(places - missing, pa.int32(), mask=codes < 0), texts)


class Coded:
    """A column of texts that may change: (n,) `codes` into `texts`, a byte each where there are few different ones."""

    def __init__(self) -> None:
        self.texts, self.codes = Texts(), np.zeros(0, dtype=np.int8)

    def copy(self) -> Coded:
        """The same column, for one that goes on in another way; the list of texts is shared, as it only grows."""
        made = Coded()
        made.texts, made.codes = self.texts, self.codes.copy()
        return made

    def extend(self, codes: Sequence[Codes]) -> None:
        """Add rows by the numbers of their texts."""
        self.codes = np.concatenate([self.codes, *codes]).astype(self._type(), copy=False)

    def numbers(self, texts: Sequence[str | None]) -> Codes:
        """(n,) the numbers of `texts` (n,), to be added or written."""
        numbers = self.texts.numbers(texts)
        return np.array(numbers, dtype=self._type())

    def _type(self) -> Any:
        return np.min_scalar_type(-max(1, len(self.texts)))

    def write(self, places: Any, texts: str | Sequence[str | None]) -> None:
        """Write one text, or (m,) texts, at m places."""
        codes: Any = self.texts.numbers([texts])[0] if isinstance(texts, str) else self.numbers(list(texts))
        self.codes = self.codes.astype(self._type(), copy=False)
        self.codes[places] = codes

    def objects(self, places: Any = slice(None)) -> NDArray[np.object_]:
        """(m,) the texts at m places, None where there is none."""
        return self.texts.objects(self.codes[places])

    def list(self, places: Any = slice(None)) -> list[str | None]:
        """As `objects`, as a list."""
        found: list[str | None] = self.objects(places).tolist()
        return found

    def arrow(self, places: Any = slice(None)) -> pa.DictionaryArray:
        """As `objects`, as an Arrow array."""
        return self.texts.arrow(self.codes[places])

    def mapped(self, function: Callable[[str | None], Any], dtype: Any, places: Any = slice(None)) -> NDArray[Any]:
        """(m,) what `function` says of the text at each place; it is asked once for each text."""
        said: NDArray[Any] = np.array([*map(function, self.texts), function(None)], dtype=dtype)
        found: NDArray[Any] = said[self.codes[places]]
        return found

    def equal(self, text: str | None, places: Any = slice(None)) -> NDArray[np.bool_]:
        """(m,) where the text is this one."""
        return self.mapped(lambda other: other == text, bool, places)

    def counts(self, places: Any = slice(None)) -> dict[str | None, int]:
        """How often each text is there, in the order in which they come, as `Counter` of them."""
        codes = self.codes[places].astype(np.int64) + 1
        numbers = np.bincount(codes, minlength=1)
        first = np.zeros(len(numbers), dtype=np.int64)
        first[codes[::-1]] = np.arange(len(codes))[::-1]  # of several the last one stays: the first that comes
        met = np.flatnonzero(numbers)
        met = met[np.argsort(first[met])]
        found: dict[str | None, int] = {}
        for text, count in zip(self.texts.objects(met - 1), numbers[met].tolist(), strict=True):
            found[text] = found.get(text, 0) + count
        return found
