"""C2PA manifests: made with a certificate of our own, valid when read back, and broken by one bit."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

from augforge.publish.marks import Marker, marker_of
from augforge.publish.marks.sign import Signer, SignError, has_manifest, state_of
from augforge.publish.marks.xmp import VOCABULARY, source_type
from tests.publish.marks.certificates import write_chain
from tests.publish.marks.test_xmp import FILES, MADE, MIXED, pixels_of


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_chain(tmp_path_factory.mktemp("certificates"))


@pytest.mark.parametrize("name", ["png", "jpeg", "webp", "lossless webp with alpha"])
def test_a_signed_image_is_valid_and_its_pixels_are_the_same(pems, name):
    import c2pa

    signed = Marker(Signer(*pems)).mark(FILES[name], MIXED, "abc", ["12" * 32])
    assert state_of(signed) == "Valid" and source_type(signed) == MIXED
    assert pixels_of(signed) == pixels_of(FILES[name])
    manifest = c2pa.Reader({"p": "image/png", "j": "image/jpeg"}.get(name[0], "image/webp"), io.BytesIO(signed))
    told = json.loads(manifest.json())
    active = told["manifests"][told["active_manifest"]]
    assertions = {a["label"].partition(".v")[0]: a["data"] for a in active["assertions"]}
    assert assertions["c2pa.actions"]["actions"][0]["digitalSourceType"] == VOCABULARY + MIXED
    assert assertions["org.augforge.provenance"] == {"id": "abc", "parents-sha256": ["12" * 32]}
    assert "thumbnail" not in active


@pytest.mark.parametrize("name", ["png", "jpeg"])
def test_one_bit_breaks_it_and_no_manifest_is_missing(pems, name):
    signed = bytearray(Marker(Signer(*pems)).mark(FILES[name], MADE, "abc"))
    signed[-40] ^= 1
    assert state_of(bytes(signed)) == "Invalid: assertion.dataHash.mismatch"
    assert state_of(FILES[name]) == "missing" and not has_manifest(FILES[name]) and has_manifest(bytes(signed))


def test_wrong_certificates_and_choices_are_told(pems, tmp_path):
    chain, key = pems
    other = write_chain(tmp_path / "other")
    for certificate, secret, words in (
        (tmp_path / "none.pem", key, "cannot be read"),
        (key, key, "no certificate"),
        (chain, chain, "no key"),
        (chain, other[1], "is not the key of"),
    ):
        with pytest.raises(SignError, match=words) as raised:
            Signer(certificate, secret)
        assert raised.value.hint
    for choices in ((True, True, None, None), (True, False, chain, key), (False, True, chain, key)):
        with pytest.raises(SignError):
            marker_of(*choices)
    assert marker_of(False, False, None, None) is None and marker_of(True, False, None, None) == Marker()


def test_without_c2pa_it_says_what_to_install(pems, monkeypatch):
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(SignError, match="not installed") as raised:
        Signer(*pems)
    assert "augforge[c2pa]" in raised.value.hint
