"""Content Credentials (C2PA): a signature, by the user's own certificate, over a file with its mark.

The signature covers the whole file: whoever changes a pixel or the mark afterwards makes it invalid. Nothing
is sent anywhere; there is no timestamp, so that a signature counts as long as its certificate is valid.
"""

import datetime
import json
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from morphoscope.cohort.marked_files import digital_source_type, file_provenance, media_type
from morphoscope.cohort.reading import MAX_FILE_BYTES, read_image
from morphoscope.configs import UserError
from morphoscope.configs.user_files import read_regular
from morphoscope.runtime import write_atomically
from morphoscope.runtime.extras import extra_package
from morphoscope.runtime.version import version

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

_MAX_PEM_BYTES = 2**20
_OFFLINE = {
    "verify": {"remote_manifest_fetch": False, "ocsp_fetch": False},
    "builder": {"thumbnail": {"enabled": False}},  # a second copy of what may be patient data
}
_UNTRUSTED = "signingCredential.untrusted"  # no list of trusted certificates is consulted


class Signer(NamedTuple):
    """Who signs.

    Attributes:
        name: of the certificate's owner.
        algorithm: as C2PA names it, e.g. "es256".
        chain: the certificates in PEM, the owner's first.
        key: the private key in PEM (PKCS #8, without a password).
    """

    name: str
    algorithm: str
    chain: str
    key: str


class Credentials(NamedTuple):
    """The Content Credentials of a file.

    Attributes:
        signer: name and organisation in the certificate.
        problems: what makes them invalid; none if the file is as it was signed.
    """

    signer: str
    problems: list[str]


def read_signer(certificate: Path, key: Path, password: Callable[[], str]) -> Signer:
    """Read a certificate with its chain, and its private key, both in PEM.

    Args:
        password: is called if the key has one.

    Raises:
        UserError: the extra `c2pa` is not installed, a file cannot be read, the certificate is expired or not
            yet valid, or the key is not its own or of a kind that C2PA does not have.
    """
    _c2pa()
    from cryptography import x509
    from cryptography.hazmat.primitives import serialization

    data = read_regular(certificate, _MAX_PEM_BYTES)
    try:
        chain = x509.load_pem_x509_certificates(data)
    except ValueError as error:
        raise UserError(f"{certificate}: not a certificate in PEM ({error}).") from error
    _check_dates(certificate, chain[0])
    private = _read_key(key, password)
    if private.public_key() != chain[0].public_key():
        raise UserError(
            f"{key}: not the key of the first certificate in {certificate} ({_owner(chain[0])}). Your own "
            "certificate comes first, those of its issuers follow."
        )
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    plain = private.private_bytes(encoding, form, serialization.NoEncryption())
    texts = [each.public_bytes(encoding).decode() for each in chain]
    return Signer(_owner(chain[0]), _algorithm(key, private), "".join(texts), plain.decode())


def sign_file(path: Path, signer: Signer) -> None:
    """Replace a file that carries the mark of synthesis, atomically, by the same file with credentials.

    Earlier credentials are replaced.

    Raises:
        UserError: the file is damaged, carries no mark, cannot be read or written, or C2PA refuses the
            certificate.
    """
    c2pa = _c2pa()
    data = read_regular(path, MAX_FILE_BYTES)
    if media_type(data) != "video/mp4":
        read_image(data, str(path))  # a damaged file is not signed
    provenance = file_provenance(data)
    if provenance is None:
        raise UserError(f"{path}: carries no mark of synthesis; only synthetic images and films are signed.")
    agent = {"name": "Morphoscope", "version": version()}
    action = {"action": "c2pa.created", "digitalSourceType": digital_source_type(provenance)}
    manifest = {
        "claim_generator_info": [agent],
        "assertions": [
            {"label": "c2pa.actions.v2", "data": {"actions": [{**action, "softwareAgent": agent}]}}
        ],
    }
    encoded = (text.encode() for text in (signer.algorithm, signer.chain, signer.key))
    with write_atomically(path) as temporary, temporary.open("w+b") as signed:
        try:
            signing = c2pa.Signer.from_info(c2pa.C2paSignerInfo(*encoded, None))
            builder = c2pa.Builder(manifest, context=c2pa.Context.from_dict(_OFFLINE))
            builder.sign(signing, media_type(data), BytesIO(data), signed)
        except c2pa.C2paError as error:
            raise UserError(
                f"{path}: not signed ({error}). C2PA needs a certificate for digital signatures, with an "
                "extended key usage such as e-mail protection, that another certificate has issued."
            ) from error


def read_credentials(data: bytes) -> Credentials | None:
    """The Content Credentials in the bytes of a PNG, GIF or MP4 file; None if it has none.

    Raises:
        UserError: the extra `c2pa` is not installed.
    """
    c2pa = _c2pa()
    kind = media_type(data)
    if kind is None:
        return None
    try:
        reader = c2pa.Reader.try_create(kind, BytesIO(data), None, c2pa.Context.from_dict(_OFFLINE))
        if reader is None:
            return None
        found = json.loads(reader.json())
    except c2pa.C2paError as error:
        return Credentials("unknown", [str(error)])
    signature = found["manifests"].get(found.get("active_manifest"), {}).get("signature_info", {})
    names = [signature[name] for name in ("common_name", "issuer") if signature.get(name)]
    status = found.get("validation_status", [])
    problems = [str(each.get("explanation") or each["code"]) for each in status if each["code"] != _UNTRUSTED]
    return Credentials(", ".join(names) or "unknown", problems)


def _c2pa() -> Any:
    return extra_package("c2pa", "c2pa", "Signing")


def _check_dates(path: Path, certificate: "Certificate") -> None:
    now = datetime.datetime.now(datetime.UTC)
    first, last = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now > last:
        raise UserError(f"{path}: the certificate expired on {last:%Y-%m-%d}; renew it.")
    if now < first:
        raise UserError(f"{path}: the certificate is not valid before {first:%Y-%m-%d}.")


def _read_key(path: Path, password: Callable[[], str]) -> Any:
    """The private key of a file in PEM."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    data = read_regular(path, _MAX_PEM_BYTES)
    try:
        try:
            return load_pem_private_key(data, None)
        except TypeError:  # it has a password
            return load_pem_private_key(data, password().encode())
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise UserError(f"{path}: not a private key in PEM, or a wrong password ({error}).") from error


def _algorithm(path: Path, key: Any) -> str:
    """The name of the algorithm that C2PA has for this kind of key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(key, ec.EllipticCurvePrivateKey):
        curves = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
        if key.curve.name in curves:
            return curves[key.curve.name]
    if isinstance(key, rsa.RSAPrivateKey) and key.key_size >= 2048:
        return "ps256"
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise UserError(
        f"{path}: C2PA has no signatures by this kind of key; use P-256, P-384, P-521, Ed25519, or RSA of at "
        "least 2048 bits."
    )


def _owner(certificate: "Certificate") -> str:
    """The names of a certificate's owner."""
    from cryptography.x509.oid import NameOID

    names = [
        str(attribute.value)
        for kind in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for attribute in certificate.subject.get_attributes_for_oid(kind)
    ]
    return ", ".join(names) or "unnamed"
