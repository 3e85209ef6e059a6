"""SPDY/3.1 for Kubernetes' streaming clients: parses frames, and builds the frames that a server sends.

Pure; see draft 3.1 of the protocol, sections 2.2 and 2.6. `kubectl port-forward` carries these frames in a WebSocket.
Its client (moby/spdystream) neither sends nor expects WINDOW_UPDATE, so only the connection has flow control.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

VERSION = 3
DATA, SYN_STREAM, SYN_REPLY, RST_STREAM, PING, GOAWAY = 0, 1, 2, 3, 6, 7
"""Types of frames. Data frames have no type on the wire."""
FIN = 0x01
PROTOCOL_ERROR, REFUSED_STREAM, CANCEL = 1, 3, 5
HEADER_BYTES = 8
HEADERS_MAX = 64 << 10

_WORDS = (
    "options|head|post|put|delete|trace|accept|accept-charset|accept-encoding|accept-language|accept-ranges|age|allow|"
    "authorization|cache-control|connection|content-base|content-encoding|content-language|content-length|"
    "content-location|content-md5|content-range|content-type|date|etag|expect|expires|from|host|if-match|"
    "if-modified-since|if-none-match|if-range|if-unmodified-since|last-modified|location|max-forwards|pragma|"
    "proxy-authenticate|proxy-authorization|range|referer|retry-after|server|te|trailer|transfer-encoding|upgrade|"
    "user-agent|vary|via|warning|www-authenticate|method|get|status|200 OK|version|HTTP/1.1|url|public|set-cookie|"
    "keep-alive|origin"
)
_TAIL = (
    "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505"
    "203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden"
    "404 Not Found500 Internal Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug "
    "Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,"
    "application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdch"
    "charset=utf-8charset=iso-8859-1,utf-,*,enq=0."
)
DICTIONARY = b"".join(struct.pack(">I", len(word)) + word.encode() for word in _WORDS.split("|")) + _TAIL.encode()
"""The initial dictionary for header compression (section 2.6.10.1). Each stream contains its Adler-32."""


class Malformed(Exception):
    """The client does not speak SPDY/3.1."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame. `headers` are those of SYN_STREAM. `body` follows the stream's id."""

    type: int
    stream: int
    fin: bool = False
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Reader:
    """Collects bytes and returns complete frames."""

    def __init__(self) -> None:
        self._pending = bytearray()
        self._headers = zlib.decompressobj(zdict=DICTIONARY)

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that these bytes complete. Raises Malformed."""
        self._pending += data
        while len(self._pending) >= HEADER_BYTES:
            first, flags_length = struct.unpack_from(">II", self._pending)
            end = HEADER_BYTES + (flags_length & 0xFFFFFF)
            if len(self._pending) < end:
                return
            body = bytes(self._pending[HEADER_BYTES:end])
            del self._pending[:end]
            fin = bool(flags_length >> 24 & FIN)
            yield self._control(first, fin, body) if first >> 31 else Frame(DATA, first, fin, body)

    def _control(self, first: int, fin: bool, body: bytes) -> Frame:
        if first >> 16 & 0x7FFF != VERSION or len(body) < 4:
            raise Malformed("the control frame is not SPDY/3.1")
        kind, stream = first & 0xFFFF, int.from_bytes(body[:4]) & 0x7FFFFFFF
        headers = self._block(body[10:]) if kind == SYN_STREAM else {}
        return Frame(kind, stream, fin, body[4:], headers)

    def _block(self, packed: bytes) -> Mapping[str, str]:
        """Name → value. All blocks share one compression stream."""
        try:
            block = self._headers.decompress(packed, HEADERS_MAX)
            if self._headers.unconsumed_tail:
                raise Malformed(f"the headers exceed {HEADERS_MAX} bytes")
            (count,), at, words = struct.unpack_from(">I", block), 4, []
            for _ in range(2 * count):
                (length,) = struct.unpack_from(">I", block, at)
                words.append(block[at + 4 : at + 4 + length].decode())
                at += 4 + length
        except (zlib.error, struct.error, UnicodeDecodeError) as error:
            raise Malformed(f"cannot decompress the headers: {error}") from None
        return dict(zip(words[::2], words[1::2], strict=True))


class Writer:
    """Builds the frames that a server sends. Send them in the order in which they are built."""

    def __init__(self) -> None:
        self._headers = zlib.compressobj(zdict=DICTIONARY)

    def reply(self, stream: int) -> bytes:
        """SYN_REPLY without headers."""
        block = self._headers.compress(struct.pack(">I", 0)) + self._headers.flush(zlib.Z_SYNC_FLUSH)
        return _control(SYN_REPLY, struct.pack(">I", stream) + block)


def data(stream: int, body: bytes, fin: bool = False) -> bytes:
    """A data frame. `fin` marks the last one of the stream."""
    return struct.pack(">II", stream, (FIN << 24 if fin else 0) | len(body)) + body


def reset(stream: int, why: int) -> bytes:
    """RST_STREAM."""
    return _control(RST_STREAM, struct.pack(">II", stream, why))


def ping(frame: Frame) -> bytes:
    """The reply to a PING, with the same number."""
    return _control(PING, struct.pack(">I", frame.stream))


def go_away(last: int, why: int) -> bytes:
    """GOAWAY: the server did not process streams after `last`."""
    return _control(GOAWAY, struct.pack(">II", last, why))


def _control(kind: int, body: bytes) -> bytes:
    return struct.pack(">HHI", 1 << 15 | VERSION, kind, len(body)) + body
