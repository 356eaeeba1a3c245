"""Exit with 0 if the service of this container answers /health, with 1 and a reason if not.

Which of the two services it is, and on which port and in which manner, is read from the variables
that the service itself reads. Standard library only.
"""

from __future__ import annotations

import os
import ssl
import sys
from http.client import HTTPConnection, HTTPException, HTTPSConnection

PORTS = (("HTTP_PORT", 8080), ("EXECUTOR_HTTP_PORT", 8081))
WAIT_S = 3.0


def main() -> int:
    """Ask the ports of both services, since only one of them runs here."""
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
    if "KALLA_TLS_CERT_FILE" in os.environ:
        # Its own certificate, made for its name outside: whether it lives is all that is asked.
        trusting = ssl._create_unverified_context()
        connection = HTTPSConnection("localhost", port, timeout=WAIT_S, context=trusting)
    else:
        connection = HTTPConnection("localhost", port, timeout=WAIT_S)
    connection.request("GET", "/health")
    return connection.getresponse().status


if __name__ == "__main__":
    sys.exit(main())
