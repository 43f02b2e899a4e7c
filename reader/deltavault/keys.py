"""Data keys: found in the vault, unwrapped with a key file, or handed in."""

import base64
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.keywrap import InvalidUnwrap, aes_key_unwrap
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .names import KEY_PATTERN
from .refusal import Refused, demand
from .sealed import is_revision, read_sealed
from .stores import Store


# Keys, one a line, each line ended, the last one perhaps not.
KEY_FILE = re.compile(rb'[0-9a-fA-F]{64}(?:\r?\n[0-9a-fA-F]{64}){0,99}(?:\r?\n)?')
KEY_FILE_BYTES_MAX = 66 * 100
KEY_RECORD_BYTES_MAX = 256 * 1024
WRAPPINGS_MAX = 20
CHECK_BYTES = 16
KEY_URL = re.compile(r'.{0,1024}', re.DOTALL)
FINGERPRINT = re.compile(r'[0-9a-f]{16}')
WRAPPED_CHARACTERS_MAX = 8192
WRAPPING_KEY_SHOWN = 200


def derived(data_key: bytes, info: bytes, length: int) -> bytes:
    """HKDF-SHA256 without a salt."""
    return HKDF(algorithm=hashes.SHA256(), length=length, salt=None, info=info).derive(data_key)


def check_value(data_key: bytes) -> bytes:
    """Sixteen bytes that tell a data key without showing it."""
    return derived(data_key, b'deltavault key check v1\0', CHECK_BYTES)


def read_key_file(path: str) -> list[bytes]:
    """Keys of 32 bytes, one a line, 64 hex digits each."""
    try:
        with open(path, 'rb') as file:
            content = file.read(KEY_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise Refused('key-locked', f'key file {path}', '', error.strerror or 'cannot be read') from None
    if KEY_FILE.fullmatch(content) is None:
        raise Refused('key-locked', f'key file {path}', '', 'does not hold 64 hex digits a line')
    return [bytes.fromhex(line.decode('ascii')) for line in content.split()]


@dataclass(frozen=True)
class Wrapping:
    """A data key as some wrapping key holds it."""

    kind: str
    key: str
    wrapped: bytes

    def told(self) -> str:
        """Which key unwraps it, for people. What a Key Vault unwraps is handed in as the data key itself."""
        key = self.key[:WRAPPING_KEY_SHOWN]
        if self.kind == 'key-file':
            return f'the key file whose SHA-256 begins with {key} (--key-file)'
        return f'the Key Vault key {key} (--data-key-file with what that unwraps)'


@dataclass(frozen=True)
class KeyRecord:
    """A key's object; `check` tells a wrong data key."""

    check: bytes
    wrappings: list[Wrapping]


class KeyRing:
    """The keys that the caller has. With none, `is_empty`: whatever needs no key can still be checked."""

    def __init__(self, wrapping_keys: list[bytes], data_keys: list[bytes]) -> None:
        self.wrapping_keys = wrapping_keys
        self.data_keys = data_keys
        self.found: dict[str, bytes] = {}

    @property
    def is_empty(self) -> bool:
        return not self.wrapping_keys and not self.data_keys

    def data_key(self, store: Store, key_id: str) -> bytes:
        """The 32 bytes of that key. Refuses with key-missing, key-locked or what is wrong with the key's object."""
        if key_id not in self.found:
            self.found[key_id] = self.unlocked(store, key_id)
        return self.found[key_id]

    def unlocked(self, store: Store, key_id: str) -> bytes:
        revisions = revisions_of(store, key_id)
        if not revisions and len(self.data_keys) == 1:
            return self.data_keys[0]
        newest, newest_name = next(whole_revisions(store, key_id))
        for record, _ in whole_revisions(store, key_id):
            for data_key in [*self.data_keys, *self.unwrapped(record)]:
                if check_value(data_key) == newest.check:
                    return data_key
        wanted = ' or '.join(dict.fromkeys(wrapping.told() for wrapping in newest.wrappings))
        what = 'no key was given' if self.is_empty else 'none of the keys given opens it'
        raise Refused('key-locked', newest_name, '', f'{what}; it is wrapped with {wanted}')

    def unwrapped(self, record: KeyRecord) -> list[bytes]:
        """What the key files open."""
        opened = []
        for wrapping_key in self.wrapping_keys:
            fingerprint = hashlib.sha256(wrapping_key).hexdigest()[:16]
            for wrapping in record.wrappings:
                if wrapping.kind != 'key-file' or wrapping.key != fingerprint:
                    continue
                try:
                    opened.append(aes_key_unwrap(wrapping_key, wrapping.wrapped))
                except (InvalidUnwrap, ValueError):
                    continue
        return [key for key in opened if len(key) == 32]


def revisions_of(store: Store, key_id: str) -> list[str]:
    """Names of the key's objects, in order of their revisions."""
    return [name for name in store.names(f'keys/{key_id}/') if KEY_PATTERN.match(name)]


def whole_revisions(store: Store, key_id: str) -> Iterator[tuple[KeyRecord, str]]:
    """The highest revision first, and at least one. All wrap the same data key, so an earlier one stands in for one that is damaged, and for one
    that was wrapped with a key that the caller does not have."""
    refusals: list[Refused] = []
    is_whole = False
    for name in reversed(revisions_of(store, key_id)):
        try:
            record = read_key_record(store, name)
        except Refused as refused:
            if refused.code == 'unsupported-version' and not is_whole:
                raise
            refusals.append(refused)
            continue
        is_whole = True
        yield record, name
    if not is_whole:
        raise refusals[0] if refusals else Refused('key-missing', f'keys/{key_id}', '', 'the vault has no such key')


def prove_key(store: Store, key_id: str) -> None:
    """Refuses a key of which no revision is whole."""
    next(whole_revisions(store, key_id))


def read_key_record(store: Store, name: str) -> KeyRecord:
    """One revision of a key's object."""
    match = KEY_PATTERN.match(name)
    demand(match is not None, name, '', 'is no name of a key')
    record = read_sealed(store, name, KEY_RECORD_BYTES_MAX)[0]
    born = match is not None and record.get('keyId') == match[1] and is_revision(record, match[2])
    if not born:
        raise Refused('wrong-birth', name, 'keyId', 'the key is not the one that its name says')
    wrappings = record.get('wrappings')
    if not isinstance(wrappings, list) or not 1 <= len(wrappings) <= WRAPPINGS_MAX:
        raise Refused('malformed', name, 'wrappings', 'there is no wrapping, or there are too many')
    opened = [wrapping_of(wrapping, name, f'wrappings[{at}]') for at, wrapping in enumerate(wrappings)]
    check = from_base64(record.get('check'), name, 'check')
    demand(len(check) == CHECK_BYTES, name, 'check', f'is not of {CHECK_BYTES} bytes')
    return KeyRecord(check, opened)


# What names the wrapping key, and what it wraps with.
KINDS = {'key-vault': (KEY_URL, 'RSA-OAEP-256'), 'key-file': (FINGERPRINT, 'A256KW')}


def wrapping_of(wrapping: object, name: str, place: str) -> Wrapping:
    fields = wrapping if isinstance(wrapping, dict) else {}
    kind, key = fields.get('kind'), fields.get('key')
    if not isinstance(kind, str) or kind not in KINDS:
        raise Refused('malformed', name, f'{place}.kind', 'is no known kind')
    pattern, algorithm = KINDS[kind]
    demand(fields.get('algorithm') == algorithm, name, f'{place}.algorithm', 'is not that of its kind')
    if not isinstance(key, str) or pattern.fullmatch(key) is None:
        raise Refused('malformed', name, f'{place}.key', 'is no name of a key of its kind')
    return Wrapping(kind, key, from_base64(fields.get('wrapped'), name, f'{place}.wrapped'))


def from_base64(value: object, name: str, place: str) -> bytes:
    is_text = isinstance(value, str) and len(value) <= WRAPPED_CHARACTERS_MAX
    try:
        return base64.b64decode(value if is_text else '!', validate=True)
    except ValueError:
        demand(False, name, place, 'is no base64')
        raise
