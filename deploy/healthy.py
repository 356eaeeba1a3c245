"""Exit with 0 if the service of this container answers /health, with 1 and a reason if not.

Which of the services it is, and on which port and in which manner, is read from the variables
that the service itself reads. Standard library only.
"""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

PORTS = (("HTTP_PORT", 8080), ("EXECUTOR_HTTP_PORT", 8081), ("KALLA_APP_PORT", 3000))
WAIT_S = 3.0


def main() -> int:
    """Ask the ports of all services, since only one of them runs here."""
    said = []
    for variable, usual in PORTS:
        port = int(os.environ.get(variable, usual))
        try:
            if _status(port) == 200:
                return 0
            said.append(f"port {port}: not well")
        except (OSError, HTTPException) as error:
            said.append(f"port {port}: {error}")
    print("; ".join(said), file=sys.stderr)
    return 1


def _status(port: int) -> int:
    connection: HTTPConnection
    certificate = os.environ.get("KALLA_TLS_CERT_FILE")
    if certificate:
        connection = HTTPSConnection("localhost", port, timeout=WAIT_S, context=_only(certificate))
    else:
        connection = HTTPConnection("localhost", port, timeout=WAIT_S)
    connection.request("GET", "/health")
    return connection.getresponse().status


def _only(certificate: str) -> ssl.SSLContext:
    """Trust the service's own certificate alone, whatever name outside it was made for."""
    context = ssl.create_default_context(cafile=certificate)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


if __name__ == "__main__":
    sys.exit(main())
