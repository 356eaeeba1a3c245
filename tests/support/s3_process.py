"""A server that speaks S3, as a process: it tells its port and lives until its input ends."""

import logging
import sys

from moto.server import ThreadedMotoServer


def main() -> None:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    print(server.get_host_and_port()[1], flush=True)
    sys.stdin.read()  # here: once the main thread has ended, Python 3.12 starts no others
    server.stop()


if __name__ == "__main__":
    main()
