"""A certificate authority for tests of signatures."""

import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
_USES = [
    "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
    "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
]  # fmt: skip


class Issued(NamedTuple):
    """Files of a certificate with its chain, and of its key."""

    certificate: Path
    key: Path


class Authority:
    """Issues certificates for signatures, by default by P-256 keys, valid from yesterday for 30 days."""

    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._certificate("Test authority", self._key, -1, 30, is_authority=True)

    def issue(
        self, folder: Path, *, key=None, first: int = -1, days: int = 30, password: bytes | None = None
    ) -> Issued:
        """A certificate of "Dr Test, Test clinic", valid for `days` from `first` days after today."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate("Dr Test", key, first, days, is_authority=False)
        issued = Issued(folder / "certificate.pem", folder / "key.pem")
        issued.certificate.write_bytes(certificate.public_bytes(PEM) + self.certificate.public_bytes(PEM))
        protection = serialization.BestAvailableEncryption(password) if password else None
        issued.key.write_bytes(
            key.private_bytes(
                PEM, serialization.PrivateFormat.PKCS8, protection or serialization.NoEncryption()
            )
        )
        return issued

    def _certificate(self, name, key, first, days, is_authority):
        start = datetime.datetime.now(datetime.UTC) + datetime.timedelta(days=first)
        uses = dict.fromkeys(_USES, False) | {"key_cert_sign" if is_authority else _USES[0]: True}
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(name))
            .issuer_name(_name("Test authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + datetime.timedelta(days=days))
            .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
            .add_extension(x509.KeyUsage(**uses), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False
            )
        )
        if not is_authority:
            usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            builder = builder.add_extension(usage, critical=False)
        return builder.sign(self._key, hashes.SHA256())


def _name(common: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test clinic"),
        ]
    )
