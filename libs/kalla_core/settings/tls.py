"""Certificates: what a service shows to its callers, and by what callers know a service.

A service with a certificate speaks TLS only. In a cluster all do or none: an executor that shows a
certificate checks those of the coordinator and of its peers against the authorities it is given.
"""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from pathlib import Path

from kalla_core.errors import InvalidSetting
from kalla_core.settings.declare import Listening
from kalla_core.settings.executor import ExecutorSettings


@dataclass(frozen=True, slots=True)
class Certificate:
    """What a service shows, both as PEM, with the files they are in."""

    chain: bytes
    key: bytes
    chain_file: Path
    key_file: Path


def read_certificate(settings: Listening) -> Certificate | None:
    """Return the certificate of a service; None where it speaks without TLS.

    Raises:
        InvalidSetting: only one of the two files is named, one cannot be read, or they are not
            certificate and key of each other.
    """
    chain_file, key_file = settings.tls_cert_file, settings.tls_key_file
    if chain_file is None and key_file is None:
        return None
    if chain_file is None or key_file is None:
        raise InvalidSetting(
            "TLS needs a certificate and its key: give both --tls-cert and --tls-key.",
            settings=["--tls-cert", "--tls-key"],
        )
    certificate = Certificate(_read(chain_file), _read(key_file), chain_file, key_file)
    try:
        # An empty password, so that a key that needs one is an error and no question.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(chain_file, key_file, password="")
    except (ssl.SSLError, ValueError) as error:
        raise InvalidSetting(
            f"{chain_file} and {key_file} are no certificate and its key, in PEM and without a "
            f"password: {error}."
        ) from error
    return certificate


def read_authorities(file: Path | None) -> bytes | None:
    """Return the certificates, as PEM, that others are checked against; None without a file.

    Raises:
        InvalidSetting: the file cannot be read, or holds none.
    """
    if file is None:
        return None
    text = _read(file)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=text.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise InvalidSetting(f"{file} holds no certificates in PEM: {error}.") from error
    return text


@dataclass(frozen=True, slots=True)
class PeerTls:
    """What an executor shows, and by whose word it knows the coordinator and its peers."""

    certificate: Certificate
    authorities: bytes


def read_peer_tls(settings: ExecutorSettings) -> PeerTls | None:
    """Return how an executor speaks TLS; None where it does not.

    Raises:
        InvalidSetting: it has a certificate or authorities and not both, or they are no good.
    """
    certificate = read_certificate(settings)
    authorities = read_authorities(settings.tls_ca_file)
    if certificate is None and authorities is None:
        return None
    if certificate is None or authorities is None:
        raise InvalidSetting(
            "In a cluster all speak TLS or nobody does: an executor needs --tls-cert and --tls-key "
            "for those who call it, and --tls-ca for those whom it calls.",
            settings=["--tls-cert", "--tls-key", "--tls-ca"],
        )
    return PeerTls(certificate, authorities)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise InvalidSetting(f"The file {file} cannot be read: {error.strerror}.") from error
