"""Bare connections to a server, for what no client would send."""

import socket


def connected(url):
    """A connection to the server of an address."""
    return socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=20)


def until_closed(connection):
    """All that the server says until it closes the connection."""
    said = b""
    while received := connection.recv(65536):
        said += received
    return said
