"""Commit records: docs/format.md, section 7."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .layer import LayerReference
from .names import DIGEST_PATTERN, DISK_PATTERN, ID_AND_DISK_PATTERN, ID_PATTERN, KEY_ID_PATTERN, RECORD_PATTERN
from .refusal import Refused, demand
from .sealed import is_revision, is_whole, read_sealed
from .stores import Store


@dataclass(frozen=True)
class Disk:
    """One disk of a recovery point."""

    disk: str
    name: str
    size_bytes: int
    stack: list[LayerReference]
    sidecar: LayerReference | None


@dataclass(frozen=True)
class RecoveryPoint:
    """What a commit record says, as far as a restore needs it."""

    object_name: str
    vm_key: str
    recovery_point_id: str
    taken_at: str
    vm_name: str
    previous: tuple[str, str | None] | None
    disks: list[Disk]


@dataclass(frozen=True)
class Listed:
    """A recovery point's revisions, in order. Only names: nothing was read."""

    vm_key: str
    recovery_point_id: str
    revisions: list[str]


def listed_points(store: Store, vm_key: str | None = None) -> Iterator[Listed]:
    """Recovery points in order of their names; the ended and the fenced among them."""
    current: Listed | None = None
    for name in store.names('recovery-points/' if vm_key is None else f'recovery-points/{vm_key}/'):
        match = RECORD_PATTERN.match(name)
        if match is None:
            continue
        if current is None or (current.vm_key, current.recovery_point_id) != (match[1], match[2]):
            if current is not None:
                yield current
            current = Listed(match[1], match[2], [])
        current.revisions.append(name)
    if current is not None:
        yield current


def read_point(store: Store, listed: Listed) -> RecoveryPoint | None:
    """The highest revision; None where the recovery point was fenced or has expired. A first revision that is damaged or gone keeps no later one
    from being read; one that is whole must not be a fence, which has no later ones."""
    point = parsed_record(store, listed.revisions[-1])[0]
    if point is not None and len(listed.revisions) > 1 and is_fence(store, listed.revisions[0]):
        raise Refused('malformed', listed.revisions[0], 'record', 'a fence has no later revisions')
    return point


def is_fence(store: Store, name: str) -> bool:
    """True for a whole record without disks."""
    try:
        return parsed_record(store, name)[0] is None
    except Refused as refused:
        if refused.code == 'unsupported-version':
            raise
        return False


def find_point(store: Store, vm_key: str, recovery_point_id: str) -> RecoveryPoint:
    """The recovery point, or a refusal that says why there is none."""
    name = f'recovery-points/{vm_key}/{recovery_point_id}'
    for wanted in (vm_key, recovery_point_id):
        if not ID_PATTERN.match(wanted):
            raise Refused('not-found', name, '', 'is no name of a recovery point')
    is_vm_known = False
    for listed in listed_points(store, vm_key):
        is_vm_known = True
        if listed.recovery_point_id == recovery_point_id:
            point = read_point(store, listed)
            if point is None:
                raise Refused('not-found', listed.revisions[-1], '', 'this recovery point has expired or was given up')
            return point
    what = f'the VM {vm_key} has no such recovery point' if is_vm_known else f'the vault has no VM {vm_key}'
    raise Refused('not-found', name, '', f'{what}; list shows what there is')


def parsed_record(store: Store, name: str) -> tuple[RecoveryPoint | None, str]:
    """One revision, and the digest of all bytes of its object."""
    record, stored = read_sealed(store, name)
    match = RECORD_PATTERN.match(name)
    named = match is not None and (record.get('vmKey'), record.get('recoveryPointId')) == (match[1], match[2])
    if not named or match is None or not is_revision(record, match[3]):
        raise Refused('wrong-birth', name, 'record', 'the record is not the one that its name says')
    digest = hashlib.sha256(stored).hexdigest()
    for word, fits in (('aborted', int(match[3]) == 1), ('expired', int(match[3]) > 1)):
        if word in record:
            demand(record[word] is True and fits, name, word, 'a fence is the first revision, an end a later one')
            return None, digest
    disks = [disk_of(value, name, f'disks[{at}]') for at, value in enumerate(list_of(record, 'disks', name, ''))]
    demand(len({disk.disk for disk in disks}) == len(disks), name, 'disks', 'a disk is named twice')
    for field in ('keyId', 'previous'):
        demand(field in record, name, field, 'is missing')
    key_id = record['keyId']
    demand(key_id is None or matches(key_id, KEY_ID_PATTERN), name, 'keyId', 'is no id of a key')
    if record.get('merkleRoot') != merkle_root(disks):
        raise Refused('digest-mismatch', name, 'merkleRoot', 'is not that of the stacks')
    vm = record.get('vm')
    demand(isinstance(vm, dict), name, 'vm', 'the description of the VM is missing')
    vm_name = vm.get('name') if isinstance(vm, dict) else None
    point = RecoveryPoint(
        name,
        match[1],
        match[2],
        text_of(record, 'takenAt', name, ''),
        vm_name if isinstance(vm_name, str) else '',
        previous_of(record['previous'], name),
        disks,
    )
    return point, digest


def merkle_root(disks: list[Disk]) -> str:
    """Over the digests of each disk's layers, newest first, then its sidecar."""
    digests = hashlib.sha256()
    for disk in disks:
        for layer in disk.stack:
            digests.update(layer.digest)
        if disk.sidecar is not None:
            digests.update(disk.sidecar.digest)
    return digests.hexdigest()


def disk_of(value: object, name: str, place: str) -> Disk:
    fields = object_of(value, name, place)
    demand(matches(fields.get('disk'), DISK_PATTERN), name, f'{place}.disk', 'is no disk')
    size_bytes = whole_of(fields, 'sizeBytes', name, place)
    demand(size_bytes % 512 == 0, name, f'{place}.sizeBytes', 'is not whole sectors')
    stack = [
        reference_of(item, 'layerId', name, f'{place}.stack[{at}]')
        for at, item in enumerate(list_of(fields, 'stack', name, place))
    ]
    demand('sidecar' in fields, name, f'{place}.sidecar', 'is missing')
    sidecar = fields['sidecar']
    return Disk(
        str(fields['disk']),
        text_of(fields, 'name', name, place),
        size_bytes,
        stack,
        None if sidecar is None else reference_of(sidecar, 'sidecarId', name, f'{place}.sidecar'),
    )


def reference_of(value: object, id_field: str, name: str, place: str) -> LayerReference:
    fields = object_of(value, name, place)
    found = fields.get(id_field)
    demand(matches(found, ID_AND_DISK_PATTERN), name, f'{place}.{id_field}', 'is no id and disk')
    demand(matches(fields.get('digest'), DIGEST_PATTERN), name, f'{place}.digest', 'is no digest')
    return LayerReference(
        str(found),
        whole_of(fields, 'lengthBytes', name, place),
        whole_of(fields, 'footerBytes', name, place),
        bytes.fromhex(str(fields['digest'])),
    )


def previous_of(value: object, name: str) -> tuple[str, str | None] | None:
    """The recovery point before, and the digest of its first revision; without one where that was damaged."""
    if value is None:
        return None
    fields = object_of(value, name, 'previous')
    demand(matches(fields.get('recoveryPointId'), ID_PATTERN), name, 'previous.recoveryPointId', 'is no id')
    digest = fields.get('digest')
    known = 'digest' in fields and (digest is None or matches(digest, DIGEST_PATTERN))
    demand(known, name, 'previous.digest', 'is neither a digest nor null')
    return (str(fields['recoveryPointId']), digest)


def object_of(value: object, name: str, place: str) -> dict[str, Any]:
    demand(isinstance(value, dict), name, place, 'is no JSON object')
    return value if isinstance(value, dict) else {}


def list_of(fields: dict[str, Any], field: str, name: str, place: str) -> list[Any]:
    value = fields.get(field)
    demand(isinstance(value, list), name, joined(place, field), 'is no list')
    return value if isinstance(value, list) else []


def text_of(fields: dict[str, Any], field: str, name: str, place: str) -> str:
    demand(isinstance(fields.get(field), str), name, joined(place, field), 'is no text')
    return str(fields[field])


def whole_of(fields: dict[str, Any], field: str, name: str, place: str) -> int:
    demand(is_whole(fields.get(field)), name, joined(place, field), 'is no whole number')
    return int(fields[field])


def joined(place: str, field: str) -> str:
    return f'{place}.{field}' if place else field


def matches(value: object, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None
