"""Content Credentials: signed by a certificate made here, read again, and void after any change."""

import json
import sys
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from morphoscope.cohort import Provenance, write_image
from morphoscope.cohort.credentials import read_credentials, read_signer, sign_file
from morphoscope.cohort.marked_files import file_provenance, write_synthetic_image
from morphoscope.configs import UserError
from morphoscope.generate.films import write_gif, write_mp4

c2pa = pytest.importorskip("c2pa", reason="the extra c2pa is not installed")
pytest.importorskip("cryptography")

from certificates import Authority  # noqa: E402 (needs the extra)
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa  # noqa: E402

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 48, 3)).astype(np.uint8)
PROVENANCE = Provenance(generator="0123456789abcdef", label={"NF1": 1.0}, seed=3, psi=0.7)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def no_password() -> str:
    raise AssertionError("the key has no password")


def write(path: Path, provenance: Provenance = PROVENANCE) -> Path:
    """A marked image or film."""
    if path.suffix == ".gif":
        write_gif(path, [PIXELS, 255 - PIXELS], 12, provenance)
    elif path.suffix == ".mp4":
        write_mp4(path, [PIXELS.tobytes()] * 2, (48, 32), 12, "a to b", provenance)
    else:
        write_synthetic_image(path, PIXELS, provenance)
    return path


@pytest.mark.parametrize("suffix", ["png", "gif", "mp4"])
def test_a_signed_file_is_the_same_file_with_credentials(tmp_path, authority, suffix) -> None:
    path = write(tmp_path / f"a.{suffix}")
    plain = path.read_bytes()
    assert read_credentials(plain) is None
    sign_file(path, read_signer(*authority.issue(tmp_path), no_password))
    signed = path.read_bytes()
    assert read_credentials(signed) == ("Dr Test, Test clinic", [])
    assert file_provenance(signed) == PROVENANCE
    if suffix != "mp4":
        np.testing.assert_array_equal(*(np.asarray(Image.open(BytesIO(data))) for data in (plain, signed)))
    sign_file(path, read_signer(*authority.issue(tmp_path), no_password))  # again: they are replaced
    assert len(path.read_bytes()) < len(signed) + 200
    assert read_credentials(path.read_bytes()) == ("Dr Test, Test clinic", [])


@pytest.mark.parametrize(
    ("provenance", "source"),
    [
        (PROVENANCE, "trainedAlgorithmicMedia"),
        (Provenance(parents=["ab12"], shows_photograph=True), "compositeWithTrainedAlgorithmicMedia"),
    ],
)
def test_the_manifest_says_that_a_model_created_it(tmp_path, authority, provenance, source) -> None:
    path = write(tmp_path / "a.png", provenance)
    sign_file(path, read_signer(*authority.issue(tmp_path), no_password))
    with path.open("rb") as file:
        found = json.loads(c2pa.Reader("image/png", file).json())
    manifest = found["manifests"][found["active_manifest"]]
    (assertion,) = manifest["assertions"]
    assert assertion["label"] == "c2pa.actions.v2"
    (action,) = assertion["data"]["actions"]
    assert action["action"] == "c2pa.created"
    assert action["digitalSourceType"] == f"http://cv.iptc.org/newscodes/digitalsourcetype/{source}"
    assert manifest["claim_generator_info"][0]["name"] == "Morphoscope"
    assert "thumbnail" not in manifest
    assert "time" not in manifest["signature_info"]  # no server was asked for the time


@pytest.mark.parametrize("suffix", ["png", "gif", "mp4"])
@pytest.mark.parametrize("place", [b"Morphoscope", b"0123456789abcdef"])
def test_any_change_of_the_mark_is_noticed(tmp_path, authority, suffix, place) -> None:
    path = write(tmp_path / f"a.{suffix}")
    sign_file(path, read_signer(*authority.issue(tmp_path), no_password))
    data = bytearray(path.read_bytes())
    data[data.rfind(place)] ^= 1
    found = read_credentials(bytes(data))
    assert found is not None and found.problems


def test_damaged_credentials_are_read_without_an_error(tmp_path, authority) -> None:
    path = write(tmp_path / "a.png")
    sign_file(path, read_signer(*authority.issue(tmp_path), no_password))
    data = path.read_bytes()
    start = data.find(b"caBX")
    random = np.random.default_rng(0)
    noticed = 0
    for _ in range(40):
        damaged = bytearray(data)
        damaged[int(random.integers(start, start + 2000))] ^= int(random.integers(1, 256))
        found = read_credentials(bytes(damaged))
        noticed += found is None or bool(found.problems)
    assert noticed > 20  # the rest is padding, which a signature does not cover


def test_what_can_carry_no_mark_has_no_credentials() -> None:
    assert read_credentials(b"a JPEG") is None


KEYS = {
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "P-521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


@pytest.mark.parametrize("kind", KEYS)
def test_kinds_of_keys(tmp_path, authority, kind) -> None:
    path = write(tmp_path / "a.png")
    sign_file(path, read_signer(*authority.issue(tmp_path, key=KEYS[kind]()), no_password))
    assert read_credentials(path.read_bytes()) == ("Dr Test, Test clinic", [])


def test_a_key_with_a_password(tmp_path, authority) -> None:
    issued = authority.issue(tmp_path, password=b"secret")
    path = write(tmp_path / "a.png")
    sign_file(path, read_signer(*issued, lambda: "secret"))
    assert read_credentials(path.read_bytes()) == ("Dr Test, Test clinic", [])
    with pytest.raises(UserError, match=r"key\.pem: .* wrong password"):
        read_signer(*issued, lambda: "guess")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"first": -40, "days": 20}, r"certificate\.pem: the certificate expired on 20\d\d-"),
        ({"first": 2}, r"certificate\.pem: the certificate is not valid before 20\d\d-"),
        ({"key": ec.generate_private_key(ec.SECP256K1())}, r"key\.pem: C2PA has no signatures by this kind"),
        ({"key": rsa.generate_private_key(65537, 1024)}, r"key\.pem: C2PA has no signatures by this kind"),
        ({"key": dsa.generate_private_key(1024)}, r"key\.pem: C2PA has no signatures by this kind"),
    ],
)
def test_certificates_and_keys_that_cannot_sign(tmp_path, authority, changes, message) -> None:
    with pytest.raises(UserError, match=message):
        read_signer(*authority.issue(tmp_path, **changes), no_password)


def test_the_key_of_another_certificate(tmp_path, authority) -> None:
    (tmp_path / "other").mkdir()
    ours, other = authority.issue(tmp_path), authority.issue(tmp_path / "other")
    with pytest.raises(UserError, match=r"other/key\.pem: not the key of the first certificate in .*Dr Test"):
        read_signer(ours.certificate, other.key, no_password)


def test_files_that_are_no_certificate_or_key(tmp_path, authority) -> None:
    issued = authority.issue(tmp_path)
    with pytest.raises(UserError, match=r"key\.pem: not a certificate in PEM"):
        read_signer(issued.key, issued.key, no_password)
    with pytest.raises(UserError, match=r"certificate\.pem: not a private key in PEM"):
        read_signer(issued.certificate, issued.certificate, no_password)
    with pytest.raises(UserError, match=r"nowhere\.pem: no such file"):
        read_signer(tmp_path / "nowhere.pem", issued.key, no_password)


def test_a_certificate_that_c2pa_refuses_leaves_the_file_as_it_was(tmp_path, authority) -> None:
    path = write(tmp_path / "a.png")
    before = path.read_bytes()
    signer = read_signer(*authority.issue(tmp_path), no_password)
    reversed_ = "".join(reversed(signer.chain.partition("-----END CERTIFICATE-----\n")))
    with pytest.raises(UserError, match=r"a\.png: not signed .* digital signatures"):
        sign_file(path, signer._replace(chain=reversed_))
    assert path.read_bytes() == before
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.png", "certificate.pem", "key.pem"]


def test_damaged_images_are_not_signed(tmp_path, authority) -> None:
    path = write(tmp_path / "a.png")
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(UserError, match=r"a\.png: "):
        sign_file(path, read_signer(*authority.issue(tmp_path), no_password))


def test_photographs_are_not_signed_as_synthetic(tmp_path, authority) -> None:
    write_image(tmp_path / "photograph.png", PIXELS)
    with pytest.raises(UserError, match=r"photograph\.png: carries no mark of synthesis"):
        sign_file(tmp_path / "photograph.png", read_signer(*authority.issue(tmp_path), no_password))


def test_without_the_extra(tmp_path, authority, monkeypatch) -> None:
    issued = authority.issue(tmp_path)
    monkeypatch.setitem(sys.modules, "c2pa", None)
    with pytest.raises(UserError, match=r"Signing needs the package c2pa: pip install 'morphoscope\[c2pa\]'"):
        read_signer(*issued, no_password)
