"""C2PA manifests: signed claims inside an image, which say how it was made. Through c2pa-python, an optional extra."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from augforge import __version__
from augforge.errors import AugforgeError
from augforge.io.writing import suffix_of
from augforge.optional import require
from augforge.publish.marks.xmp import VOCABULARY

SETTINGS = {"builder": {"thumbnail": {"enabled": False}}, "verify": {"verify_after_sign": False}}
"""No thumbnail, which a data set has no use for, and no reading back, which `augforge check-marks` does when asked."""
TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}
"""What is signed: what can carry XMP, too."""

UNTRUSTED = "signingCredential.untrusted"
"""Said of every certificate that is on no list of trust; a manifest is valid for all that."""


class SignError(AugforgeError):
    """A certificate or key that cannot be used, or c2pa-python is not installed."""


class Signer:
    """Signs encoded images with a certificate chain and its private key, both in PEM.

    The key may be of EC (P-256, P-384, P-521), Ed25519 or RSA (signed as PS256). No time stamp is asked for, so nothing
    leaves the machine. Two signatures of the same image differ.

    Raises:
        SignError: the files cannot be read, do not belong together, or c2pa-python is not installed.
    """

    def __init__(self, certificate: Path, key: Path, settings: dict[str, Any] | None = None) -> None:
        require("c2pa", "cryptography", who="signing", error=SignError)
        import c2pa

        chain, private = _read(certificate), _read(key)
        self.certificate, algorithm = _matched(chain, private, certificate, key)
        info = c2pa.C2paSignerInfo(algorithm, chain, private, None)
        self._settings = c2pa.Settings.from_dict(SETTINGS if settings is None else settings)
        try:
            self._context = c2pa.Context(self._settings)
            self._signer = c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise SignError(f"c2pa-python does not take {certificate}: {error}", "see docs/export.md") from error

    def sign(self, data: bytes, kind: str, identity: str, parents: Sequence[str] = ()) -> bytes:
        """The image with a manifest that names its digital source type, its id and the SHA-256 of its parents.

        Raises:
            SignError: c2pa-python refuses to sign.
        """
        import c2pa

        signed = io.BytesIO()
        try:
            with c2pa.Builder(_manifest(kind, identity, parents), self._context) as builder:
                builder.sign(self._signer, TYPES[suffix_of(data)], io.BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise SignError(
                f"{identity} cannot be signed: {error}", "see docs/export.md for the certificate"
            ) from error
        return signed.getvalue()


def _manifest(kind: str, identity: str, parents: Sequence[str]) -> dict[str, Any]:
    created = {"action": "c2pa.created", "digitalSourceType": VOCABULARY + kind}
    ours = {"id": identity, "parents-sha256": list(parents)}
    return {
        "claim_generator_info": [{"name": "augforge", "version": __version__}],
        "title": identity,
        "assertions": [
            {"label": "c2pa.actions", "data": {"actions": [created]}},
            {"label": "org.augforge.provenance", "data": ours},
        ],
    }


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SignError(f"{path} cannot be read: {error.strerror}", "give PEM files to --cert and --key") from error


def _matched(chain: bytes, private: bytes, certificate: Path, key: Path) -> tuple[str, str]:
    """The SHA-256 of the first certificate, and the algorithm of the key, if they belong together."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        first = x509.load_pem_x509_certificates(chain)[0]
    except ValueError as error:
        raise SignError(f"{certificate} is no certificate in PEM", "see docs/export.md for how to make one") from error
    try:
        secret = load_pem_private_key(private, None)
    except (ValueError, TypeError) as error:
        raise SignError(
            f"{key} is no key in PEM without a password", "see docs/export.md for how to make one"
        ) from error
    if secret.public_key() != first.public_key():
        raise SignError(f"{key} is not the key of {certificate}", "give the two that belong together")
    return first.fingerprint(hashes.SHA256()).hex(), _algorithm(secret, key)


def _algorithm(secret: Any, key: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(secret, ed25519.Ed25519PrivateKey):
        return "ed25519"
    if isinstance(secret, rsa.RSAPrivateKey):
        return "ps256"
    curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
    if isinstance(secret, ec.EllipticCurvePrivateKey) and secret.curve.name in curves:
        return curves[secret.curve.name]
    raise SignError(f"{key} is of a kind that C2PA does not know", "use EC (P-256), Ed25519 or RSA")


def has_manifest(data: bytes) -> bool:
    """Whether an image seems to carry a C2PA manifest; needs nothing installed."""
    return b"c2pa" in data and (b"jumb" in data or b"JUMBF" in data)


def state_of(data: bytes) -> str:
    """What c2pa-python says of the manifest of an image: "Valid", "Trusted", "Invalid: why", or "missing"."""
    import c2pa

    try:
        with c2pa.Reader(TYPES.get(suffix_of(data), "image/png"), io.BytesIO(data)) as reader:
            told = json.loads(reader.json())
    except c2pa.C2paError as error:
        return "missing" if "ManifestNotFound" in str(error) else f"Invalid: {error}"
    state = str(told.get("validation_state"))
    codes = [str(status.get("code")) for status in told.get("validation_status") or () if isinstance(status, dict)]
    wrong = [code for code in codes if code != UNTRUSTED]
    return state if state in ("Valid", "Trusted") else f"Invalid: {', '.join(wrong) or state}"
