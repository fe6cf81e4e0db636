"""The body of an answer, unpacked, up to a limit.

In: what came, and the header Content-Encoding. Out: the bytes that were packed. An encoding that is none, such as
`utf-8`, is passed over, as browsers do.
"""

import zlib

import requests

from include.errors import ResponseShapeError

# zlib's own words for what it should expect: a head of gzip; one of zlib; none, which some servers take for deflate.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_STEP_BYTES = 1024 * 1024
ENCODINGS = "gzip, deflate"
"""For Accept-Encoding: what is understood here."""


class TooLarge(ResponseShapeError):
    """Unpacked, the body is beyond the limit."""


def unpacked(body: bytes, content_encoding: str, limit_bytes: int) -> bytes:
    """`body` without the encodings that `content_encoding` lists.

    Raises ContentDecodingError when it is none of them, ChunkedEncodingError (transient) when it ends too early, TooLarge
    (permanent) beyond `limit_bytes`.
    """
    for encoding in reversed(content_encoding.lower().split(",")):
        match encoding.strip():
            case "gzip" | "x-gzip":
                body = _inflated(body, _GZIP, limit_bytes)
            case "deflate":
                body = _inflated(body, _ZLIB if body[:1] in (b"\x78", b"\x58", b"\x08") else _BARE, limit_bytes)
    return body


def _inflated(body: bytes, kind: int, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    left_bytes = limit_bytes
    while body:
        stream = zlib.decompressobj(kind)
        while not stream.eof:
            piece = _next_piece(stream, body)
            left_bytes -= len(piece)
            if left_bytes < 0:
                raise TooLarge(f"The body becomes more than {limit_bytes} bytes when it is unpacked.")
            pieces.append(piece)
            body = stream.unconsumed_tail
            if not piece and not body and not stream.eof:
                raise requests.exceptions.ChunkedEncodingError("The packed body ends too early")
        # Several streams in a row are one; what else follows is padding.
        body = stream.unused_data if kind == _GZIP and stream.unused_data[:2] == b"\x1f\x8b" else b""
    return b"".join(pieces)


def _next_piece(stream: "zlib._Decompress", body: bytes) -> bytes:
    try:
        return stream.decompress(body, _STEP_BYTES)
    except zlib.error as error:
        problem = str(error)
    raise requests.exceptions.ContentDecodingError(f"The body is not packed as it says: {problem}")
