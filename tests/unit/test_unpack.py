"""Packed bodies: what browsers take, and where they end."""

import gzip
import tracemalloc
import zlib

import pytest
import requests

from include.errors import PermanentError
from include.extract.unpack import TooLarge, unpacked

BODY = b'{"data": []}' * 1000
LIMIT = 100_000


def bare(body: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(body) + stream.flush()


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY[:500]) + gzip.compress(BODY[500:])),
        ("gzip", gzip.compress(BODY) + b"\0" * 100),
        ("deflate", zlib.compress(BODY)),
        ("deflate", bare(BODY)),
        ("deflate, gzip", gzip.compress(zlib.compress(BODY))),
        ("utf-8", BODY),
        ("identity", BODY),
        ("utf-8, gzip", gzip.compress(BODY)),
        ("", BODY),
    ],
)
def test_each_encoding_is_undone_and_what_is_none_passed_over(encoding: str, body: bytes) -> None:
    assert unpacked(body, encoding, LIMIT) == BODY


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_packed_body_that_is_cut_is_a_broken_connection(encoding: str) -> None:
    packed = gzip.compress(BODY) if encoding == "gzip" else zlib.compress(BODY)
    for length in range(1, len(packed)):
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            unpacked(packed[:length], encoding, LIMIT)


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_body_that_is_not_packed_as_it_says_is_an_error(encoding: str) -> None:
    with pytest.raises(requests.exceptions.ContentDecodingError):
        unpacked(b"\xff" * 100, encoding, LIMIT)


def test_an_empty_body_is_empty_however_it_is_packed() -> None:
    assert unpacked(b"", "gzip", LIMIT) == b""


def test_a_bomb_stops_at_the_limit() -> None:
    bomb = gzip.compress(bytes(50_000_000))
    tracemalloc.start()
    with pytest.raises(TooLarge, match=r"10000000 bytes") as caught:
        unpacked(bomb, "gzip", 10_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert isinstance(caught.value, PermanentError)
    assert peak < 15_000_000


def test_the_limit_itself_is_allowed_and_counts_over_several_streams() -> None:
    assert len(unpacked(gzip.compress(bytes(1000)) * 2, "gzip", 2000)) == 2000
    with pytest.raises(TooLarge):
        unpacked(gzip.compress(bytes(1000)) * 2, "gzip", 1999)
