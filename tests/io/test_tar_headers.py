"""The fast way through a tar archive finds what `tarfile` finds, and ends as it does where the archive is damaged."""

from __future__ import annotations

import io
import random
import tarfile

import pytest

from augforge.io import tar_headers
from augforge.io.tar_headers import members_of

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def archive(kind, seed=0, **options):
    """Plain files, and among them a folder, a link, long and strange names, a time that is no whole number."""
    draw, out = random.Random(seed), io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=FORMATS[kind], **options) as tar:
        for number in range(12):
            member = tarfile.TarInfo(f"train/{number:04}.jpg")
            data = draw.randbytes(draw.choice([0, 1, 511, 512, 513, 2000]))
            if number == 3:
                member.type, data = tarfile.DIRTYPE, b""
            if number == 5:
                member.type, member.linkname, data = tarfile.SYMTYPE, "train/0001.jpg", b""
            if number == 6:
                member.name = "d" * 90 + "/" + "f" * 60 + ".jpg"
            if number == 8:
                member.name = "schön.png" if kind != "ustar" else "plain.png"
            if number == 9 and kind == "pax":
                member.mtime = 1.5
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def found(members):
    """What is found, and the error at the end."""
    seen = []
    try:
        for member in members:
            seen.append((member.name, member.type, member.size, member.offset_data))
    except (tarfile.TarError, OSError, ValueError) as error:
        return seen, type(error), str(error)
    return seen, None, ""


def by_tarfile(data):
    def members():
        with tarfile.open(fileobj=io.BytesIO(data), mode="r:", errors="backslashreplace") as tar:
            yield from iter(tar.next, None)

    return found(members())


@pytest.mark.parametrize("kind", FORMATS)
def test_the_same_members_as_by_tarfile(kind, monkeypatch):
    data = archive(kind)
    assert found(members_of(io.BytesIO(data))) == by_tarfile(data)
    plain, way = [], tar_headers._plain
    monkeypatch.setattr(tar_headers, "_plain", lambda *given: plain.append(way(*given)) or plain[-1])
    assert len(list(members_of(io.BytesIO(data)))) == 12
    assert sum(member is not None for member in plain) >= 6  # else nothing is gained


def test_pax_headers_of_the_whole_archive_hold_for_all_members():
    data = archive("pax", pax_headers={"comment": "all", "path": "one name"})
    seen, *_ = found(members_of(io.BytesIO(data)))
    assert {name for name, *_ in seen} >= {"one name"} and (seen, None, "") == by_tarfile(data)


@pytest.mark.parametrize("kind", FORMATS)
def test_damage_is_met_as_by_tarfile(kind):
    data, draw = archive(kind, 1), random.Random(kind)
    for _ in range(300):
        cut = data[: draw.randrange(len(data))]
        assert found(members_of(io.BytesIO(cut))) == by_tarfile(cut)
        changed = bytearray(data)
        for _ in range(draw.choice([1, 1, 3])):
            changed[draw.randrange(len(data))] = draw.randrange(256)
        assert found(members_of(io.BytesIO(changed))) == by_tarfile(bytes(changed))


def test_a_name_of_a_hundred_letters_and_a_size_of_another_kind():
    member = tarfile.TarInfo("n" * 96 + ".jpg")
    member.size = 3
    large = tarfile.TarInfo("large.jpg")
    large.size = 8 << 30  # written in binary
    data = member.tobuf(tarfile.GNU_FORMAT) + b"abc".ljust(512, b"\0")
    data = 2 * data + large.tobuf(tarfile.GNU_FORMAT)
    seen, *_ = found(members_of(io.BytesIO(data)))
    assert [(name, size) for name, _, size, _ in seen] == [(member.name, 3)] * 2 + [("large.jpg", 8 << 30)]
    assert found(members_of(io.BytesIO(data))) == by_tarfile(data)
