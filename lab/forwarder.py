"""Passes connections from the machine's 127.0.0.1 into a control plane's network namespace.

It listens first and enters the namespace then: a socket stays where it was made. So the machine's
network is not changed, and nobody but this machine reaches the port. It imports nothing of the
project, since one runs for each cluster, all the time.

Usage: forwarder.py PORT NAMESPACE-FILE ADDRESS PORT
"""

import asyncio
import ctypes
import os
import sys
from contextlib import suppress

CHUNK_BYTES = 1 << 16
CLONE_NEWNET = 0x40000000


async def serve(port: int, namespace: str, address: str, remote_port: int) -> None:
    """Listen in this namespace, connect in the other."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there = await asyncio.open_connection(address, remote_port)
        except OSError:
            writer.transport.abort()  # As the API server itself would refuse.
            return
        try:
            await asyncio.gather(_pass_on(reader, there[1]), _pass_on(there[0], writer))
        finally:
            for end in (writer, there[1]):
                end.close()

    server = await asyncio.start_server(connected, "127.0.0.1", port, backlog=128)
    _enter(namespace)
    async with server:
        await server.serve_forever()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One direction. Its end is passed on too; when it breaks, both directions end."""
    try:
        while data := await reader.read(CHUNK_BYTES):
            writer.write(data)
            await writer.drain()
        if writer.can_write_eof():
            writer.write_eof()
    except OSError:
        writer.transport.abort()


def _enter(namespace: str) -> None:
    place = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    if ctypes.CDLL(None, use_errno=True).setns(place, CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), f"setns {namespace}")
    os.close(place)


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(serve(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
