"""The coordinator with a certificate: whoever trusts its authority comes in, with a token."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import httpx
import pyarrow as pa
import pyarrow.flight as flight
import pytest

from kalla_core.client import Client
from kalla_core.errors import CoordinatorUnavailable, InvalidSetting, Unauthenticated
from kalla_core.settings import CoordinatorSettings, ExecutorSettings
from kalla_core.settings.tls import read_authorities, read_certificate, read_peer_tls
from kalla_core.settings.tokens import sends_tokens_openly
from kalla_core.wire.generated import jobs_pb2, jobs_pb2_grpc
from tests.support.api import Served, served
from tests.support.certificates import Certificates, make_certificates

GUEST = "guest-token"
ANSWER_S, REFUSAL_S = 60, 5


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return make_certificates(tmp_path_factory.mktemp("strangers"), "stranger")


@pytest.fixture
async def api(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Served]:
    async with served(tmp_path, token=GUEST, given=certificates.settings) as here:
        yield here


async def test_http_speaks_tls_and_asks_for_the_token(
    api: Served, certificates: Certificates, strangers: Certificates
) -> None:
    address = f"https://localhost:{api.ports.http}"
    trusted = certificates.authority.read_bytes()

    async with Client(address, GUEST, authorities=trusted) as kalla:
        listed = await kalla.list()
    async with Client(address, "wrong", authorities=trusted) as kalla:
        with pytest.raises(Unauthenticated):
            await kalla.list()
    async with Client(address, GUEST, authorities=strangers.authority.read_bytes()) as kalla:
        with pytest.raises(CoordinatorUnavailable, match="certificate verify failed"):
            await kalla.list()
    async with httpx.AsyncClient(timeout=60) as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get(f"{api.url}/health")

    assert listed.jobs == ()


async def test_grpc_speaks_tls_and_asks_for_the_token(
    api: Served, certificates: Certificates, strangers: Certificates
) -> None:
    async def executors(authority: Path | None, token: str) -> object:
        target = f"localhost:{api.ports.grpc}"
        if authority is None:
            channel = grpc.aio.insecure_channel(target)
        else:
            trusted = grpc.ssl_channel_credentials(authority.read_bytes())
            channel = grpc.aio.secure_channel(target, trusted)
        async with channel:
            stub = jobs_pb2_grpc.JobsStub(channel)  # type: ignore[no-untyped-call]
            metadata = (("authorization", f"Bearer {token}"),)
            asked = jobs_pb2.ListExecutorsRequest()
            known = authority == certificates.authority  # others may wait in vain
            return await stub.ListExecutors(
                asked, metadata=metadata, timeout=ANSWER_S if known else REFUSAL_S
            )

    found = await executors(certificates.authority, GUEST)
    codes = []
    for authority, token in (
        (certificates.authority, "wrong"),
        (strangers.authority, GUEST),
        (None, GUEST),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await executors(authority, token)
        codes.append(refused.value.code())

    assert found == jobs_pb2.ListExecutorsResponse()
    assert codes[0] is grpc.StatusCode.UNAUTHENTICATED
    assert {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED} >= set(codes[1:])


async def test_results_come_over_tls_to_whoever_has_the_token(
    api: Served, certificates: Certificates, strangers: Certificates
) -> None:
    api.http.headers["Authorization"] = f"Bearer {GUEST}"
    options = flight.FlightCallOptions(
        headers=[(b"authorization", f"Bearer {GUEST}".encode())], timeout=ANSWER_S
    )

    def listed(authority: Path, options: flight.FlightCallOptions) -> list[flight.FlightInfo]:
        location = f"grpc+tls://localhost:{api.ports.results}"
        with flight.connect(location, tls_root_certs=authority.read_bytes()) as client:
            return list(client.list_flights(b"", options))

    found = await asyncio.to_thread(listed, certificates.authority, options)
    with pytest.raises(flight.FlightUnauthenticatedError):
        await asyncio.to_thread(
            listed, certificates.authority, flight.FlightCallOptions(timeout=ANSWER_S)
        )
    with pytest.raises((flight.FlightError, pa.ArrowException)):
        await asyncio.to_thread(listed, strangers.authority, options)

    assert found == []


def test_half_a_certificate_and_one_of_another_key_are_refused(
    certificates: Certificates, strangers: Certificates, tmp_path: Path
) -> None:
    def certificate(**given: Path) -> object:
        return read_certificate(CoordinatorSettings(**given))

    assert certificate() is None
    with pytest.raises(InvalidSetting, match="both --tls-cert and --tls-key"):
        certificate(tls_cert_file=certificates.certificate)
    with pytest.raises(InvalidSetting, match="no certificate and its key"):
        certificate(tls_cert_file=certificates.certificate, tls_key_file=strangers.key)
    with pytest.raises(InvalidSetting, match="cannot be read"):
        certificate(tls_cert_file=certificates.certificate, tls_key_file=tmp_path / "none")
    with pytest.raises(InvalidSetting, match="holds no certificates"):
        read_authorities(certificates.key)


def test_an_executor_speaks_tls_both_ways_or_not_at_all(certificates: Certificates) -> None:
    with pytest.raises(InvalidSetting, match="all speak TLS or nobody does"):
        read_peer_tls(ExecutorSettings(**certificates.settings))
    with pytest.raises(InvalidSetting, match="all speak TLS or nobody does"):
        read_peer_tls(ExecutorSettings(tls_ca_file=certificates.authority))
    tls = read_peer_tls(
        ExecutorSettings(**certificates.settings, tls_ca_file=certificates.authority)
    )

    assert read_peer_tls(ExecutorSettings()) is None
    assert tls is not None
    assert ssl.PEM_cert_to_DER_cert(tls.authorities.decode())


@pytest.mark.parametrize(
    ("host", "encrypted", "openly"),
    [("127.0.0.1", False, False), ("10.0.0.1", False, True), ("10.0.0.1", True, False)],
)
def test_tokens_from_other_machines_without_tls_are_worth_a_warning(
    certificates: Certificates, tmp_path: Path, host: str, encrypted: bool, openly: bool
) -> None:
    given = certificates.settings if encrypted else {}
    settings = CoordinatorSettings(bind_host=host, token_file=tmp_path / "tokens", **given)

    assert sends_tokens_openly(settings) == openly
