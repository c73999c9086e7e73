"""TLS certificates for pools beyond this machine: an own certificate authority, and a certificate for each role.

The authority's key is never stored, so that even access to the folder does not allow further certificates to be signed.
To renew certificates, all are created again.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from napari_menndl.errors import InputError
from napari_menndl.files import user_data

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from distributed.security import Security

ROLES = ("scheduler", "worker", "client")
#: Default validity of certificates [days].
DAYS = 30
#: Validity of the certificates of a run, which are kept in memory or in a temporary folder [days].
RUN = 365
#: Certificates are valid from a little earlier, since clocks of machines differ.
_SKEW = timedelta(minutes=10)
_REMEDY = "Make them with `napari-menndl pool certificates {}`, and bring each machine its own (docs/security.md)."


@dataclass(frozen=True, repr=False)
class Certificates:
    """A certificate authority and the certificates it has signed, as PEM text; excluded from repr.

    Attributes
    ----------
    authority : str
    signed : dict of str to (str, str)
        Certificate and key by role.
    """

    authority: str
    signed: dict[str, tuple[str, str]]

    @property
    def security(self) -> Security:
        """Dask's security settings with the available roles; unencrypted connections are refused."""
        from distributed.security import Security

        roles = {
            f"tls_{role}_{part}": text
            for role, pair in self.signed.items()
            for part, text in zip(("cert", "key"), pair, strict=True)
        }
        return Security(require_encryption=True, tls_ca_file=self.authority, **roles)

    def write(self, folder: Path, roles: Sequence[str] = ROLES) -> tuple[Path, ...]:
        """Write the authority's certificate and the files of these roles, readable by their owner only."""
        texts = {"ca.pem": self.authority}
        for role in roles:
            texts[f"{role}.pem"], texts[f"{role}.key"] = self.signed[role]
        for name, text in texts.items():
            whole = folder / f"{name}.new"
            whole.unlink(missing_ok=True)
            with open(os.open(whole, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
                file.write(text)
            whole.replace(folder / name)
        return tuple(folder / name for name in texts)


def make_certificates(days: float = DAYS) -> Certificates:
    """Create an authority and certificates of the three roles; a client's cannot be used as scheduler or worker.

    Raises
    ------
    InputError
        If the library cryptography is not installed.
    """
    try:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
    except ImportError as error:
        remedy = 'Install it: pip install "napari-menndl[slurm]".'
        raise InputError("the library cryptography, which makes certificates", "none installed", remedy) from error
    now = datetime.now(UTC)

    def signed(name: str, key: ec.EllipticCurvePrivateKey, *extensions: tuple[x509.ExtensionType, bool]) -> str:
        title = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"napari-menndl {name}")])
        builder = x509.CertificateBuilder().subject_name(title).issuer_name(issuer).public_key(key.public_key())
        builder = builder.serial_number(x509.random_serial_number())
        builder = builder.not_valid_before(now - _SKEW).not_valid_after(now + timedelta(days=days))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(authority, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()

    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "napari-menndl authority")])
    authority = ec.generate_private_key(ec.SECP256R1())
    root = signed("authority", authority, (x509.BasicConstraints(ca=True, path_length=0), True))
    pairs = {}
    for role in ROLES:
        key = ec.generate_private_key(ec.SECP256R1())
        uses = [ExtendedKeyUsageOID.CLIENT_AUTH, *([] if role == "client" else [ExtendedKeyUsageOID.SERVER_AUTH])]
        basic = (x509.BasicConstraints(ca=False, path_length=None), True)
        secret = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        pairs[role] = signed(role, key, basic, (x509.ExtendedKeyUsage(uses), False)), secret.decode()
    return Certificates(root, pairs)


def write_certificates(folder: Path, days: float = DAYS) -> tuple[Path, ...]:
    """Create certificates, write them as ``ca.pem``, ``ROLE.pem`` and ``ROLE.key``, and return the files.

    Only the owner has access to the folder (0700) and the keys (0600).

    Raises
    ------
    InputError
        If the folder contains other files.
    """
    made = make_certificates(days)
    names = {"ca.pem", *(f"{role}.{end}" for role in ROLES for end in ("pem", "key"))}
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if strangers := sorted({one.name for one in folder.iterdir()} - names):
        found = f"{', '.join(strangers[:3])} in {folder}"
        raise InputError("a new folder, or one of earlier certificates", found, "Name another folder.")
    folder.chmod(0o700)
    return made.write(folder)


def certificates_folder(given: str = "") -> Path:
    """Return the given folder, or the user's default one."""
    from napari_menndl.pool.settings import path_of

    return path_of(given) if given else user_data() / "certificates"


def client_security(folder: Path) -> Security:
    """Return the security settings of a client, from a folder written by `write_certificates`.

    Raises
    ------
    InputError
        If a file is missing, a key is readable by others, or a certificate is not valid now.
    """
    from distributed.security import Security

    files = [folder / name for name in ("ca.pem", "client.pem", "client.key")]
    remedy = _REMEDY.format(folder)
    for file in files:
        if not file.is_file():
            raise InputError(f"certificates in {folder}", f"no {file.name}", remedy)
    authority, certificate, key = files
    if os.name == "posix" and key.stat().st_mode & 0o077:
        raise InputError(f"a key that only you can read: {key}", "one that others can", f"Say: chmod 600 {key}")
    for file in (authority, certificate):
        check_valid(file, remedy)
    return Security(
        require_encryption=True,
        tls_ca_file=str(authority),
        tls_client_cert=str(certificate),
        tls_client_key=str(key),
    )


def check_valid(file: Path, remedy: str) -> None:
    """Refuse a certificate that is not valid now.

    Raises
    ------
    InputError
    """
    try:
        from cryptography import x509
    except ImportError:
        return  # the connection will fail anyway, with a less helpful message
    try:
        certificate = x509.load_pem_x509_certificate(file.read_bytes())
    except ValueError as error:
        raise InputError(f"a certificate in {file}", f"none that can be read ({error})", remedy) from error
    began, ends, now = certificate.not_valid_before_utc, certificate.not_valid_after_utc, datetime.now(UTC)
    if now < began:
        found = f"one that is good from {began:%Y-%m-%d %H:%M} UTC on: {file}"
        raise InputError("a currently valid certificate", found, "Set this machine's clock, or create new ones.")
    if now > ends:
        found = f"one that ended on {ends:%Y-%m-%d %H:%M} UTC: {file}"
        raise InputError("a currently valid certificate", found, remedy)
