"""TLS in front of servers on loopback that have none, under a throw-away authority."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading

import trustme

from totesys_dagster.local import server as postgres

SSL_REQUEST = (8).to_bytes(4, "big") + (80877103).to_bytes(4, "big")


class TlsFront:
    """Speaks TLS with clients, and passes their bytes on to a port of this machine.

    Lives as long as its process. `port` is where it listens, as `localhost`.
    """

    def __init__(self, certificate: trustme.LeafCert, port: int) -> None:
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self.context)
        self.target = port
        self.port = postgres.free_port(None)
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result()

    async def _listen(self) -> None:
        await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.context)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            behind, to_behind = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:  # what is behind is down, and so is its front
            writer.transport.abort()
            return
        await asyncio.gather(_pass(reader, to_behind), _pass(behind, writer))


class PostgresFront(TlsFront):
    """The same for PostgreSQL, whose clients ask for TLS in clear first.

    The embedded server is built without TLS. Refuses who does not ask for it.
    """

    async def _listen(self) -> None:
        await asyncio.start_server(self._agree, "127.0.0.1", self.port)

    async def _agree(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
            if await reader.readexactly(8) == SSL_REQUEST:
                writer.write(b"S")
                await writer.start_tls(self.context)
                await self._serve(reader, writer)
        writer.close()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):  # also of TLS: either side may go away at any time
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
