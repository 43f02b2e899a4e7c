"""JSON objects that carry the digest of their own record."""

import hashlib
import json
from typing import Any

from .refusal import Refused, demand
from .stores import Store, read_all

HEAD = b'{"sha256":"'
MIDDLE = b'","record":'
TAIL = b'}\n'
RECORD_BYTES_MAX = 64 * 1024 * 1024


def read_sealed(store: Store, name: str, length_max: int = RECORD_BYTES_MAX) -> tuple[dict[str, Any], bytes]:
    """The record, and all bytes of its object. Refuses another format version."""
    stored = read_all(store, name, length_max)
    digest_end = len(HEAD) + 64
    begin = digest_end + len(MIDDLE)
    framed = stored.startswith(HEAD) and stored[digest_end:begin] == MIDDLE and stored.endswith(TAIL)
    demand(framed and len(stored) >= begin + len(TAIL), name, 'byte 0', 'is not a record with its digest')
    body = stored[begin : -len(TAIL)]
    if stored[len(HEAD) : digest_end] != hashlib.sha256(body).hexdigest().encode('ascii'):
        raise Refused('digest-mismatch', name, 'sha256', 'the SHA-256 differs: the record is damaged')
    try:
        record = json.loads(body.decode('utf-8'), parse_constant=no_constant)
    except (ValueError, RecursionError):
        raise Refused('malformed', name, f'byte {begin}', 'the record is not JSON') from None
    demand(isinstance(record, dict), name, f'byte {begin}', 'the record is not a JSON object')
    version = record.get('format')
    demand(is_whole(version), name, 'format', 'the format version is missing')
    if version != 1:
        raise Refused('unsupported-version', name, 'format', f'format version {version}; this reader knows 1')
    return record, stored


def no_constant(word: str) -> float:
    raise ValueError(word)


def is_whole(value: object) -> bool:
    """A whole number of the format: no fraction, not negative, at most 2^53 - 1."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def is_revision(record: dict[str, Any], digits: str) -> bool:
    """Whether the record is of the revision that its name says; `true`, which equals 1 in this language, is none."""
    revision = record.get('revision')
    return is_whole(revision) and revision == int(digits)
