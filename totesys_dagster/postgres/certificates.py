"""Why a PostgreSQL server's certificate is not accepted; libpq only says that it is not."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Mapping
from typing import Any

SECONDS = 10

# What a client sends before TLS begins: the length of the message, and the number of its kind.
SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


def trouble(conninfo: Mapping[str, Any]) -> str | None:
    """What is wrong with the server's certificate; None if that cannot be determined.

    Sends nothing secret: the exchange ends with the server's certificate.
    """
    host, port = str(conninfo.get("host", "")), str(conninfo.get("port") or "5432")
    address = str(conninfo.get("hostaddr") or host)
    root = str(conninfo.get("sslrootcert") or "")
    try:
        context = ssl.create_default_context(cafile=None if root in ("", "system") else root)
        with socket.create_connection((address, int(port)), SECONDS) as plain:
            plain.sendall(SSL_REQUEST)
            if plain.recv(1) == b"S":
                context.wrap_socket(plain, server_hostname=host or address).close()
    except ssl.SSLCertVerificationError as error:
        return f"certificate verify failed: {error.verify_message}"
    except (OSError, ValueError):
        pass
    return None
