"""Many small cases in one process: JSON lines in, JSON lines out, in order. For tests that change a vault at random.

In: `{"base": name, "folder": path}` loads a vault into memory.
`{"case": id, "base": name, "objects": {name: base64 or null}, "vmKey": ..., "recoveryPointId": ..., "disk": ...,
"keyFile": path or null}` restores that disk with some objects replaced or taken away; with `"check": true` the vault is
checked instead.

Out: `{"case": id, "outcome": ...}` with `restored` and a `digest`; `checked`, the lines `damaged`, those of them that restores need
as `needed`, the lines `touched` and `locked`, and how many `frames` there are, how many are needed (`framesNeeded`) and how many were
`opened`; `refused` and `code`, `name`, `place`, `what`; or `crashed` or `hung`, which no case may be. The end of the input is answered
by `{"peakBytes": ...}`.
"""

import base64
import json
import resource
import signal
import sys
import traceback
from typing import IO, Any

from .check import Check
from .keys import KeyRing, read_key_file
from .record import find_point
from .refusal import Refused
from .restore import disk_of_point, restore_disk
from .sinks import PageDigest
from .stores import FolderStore, MemoryStore, read_all

CASE_SECONDS_MAX = 20


class Hung(BaseException):
    """A case took longer than any small vault may."""


def run_batch(lines: IO[str], answers: IO[str]) -> None:
    """Answers each line; ends with the input."""
    signal.signal(signal.SIGALRM, alarmed)
    bases: dict[str, dict[str, bytes]] = {}
    for line in lines:
        case = json.loads(line)
        if 'folder' in case:
            store = FolderStore(case['folder'])
            bases[case['base']] = {name: read_all(store, name, 1 << 30) for name in every_name(store)}
            continue
        answers.write(json.dumps({'case': case['case'], **answer(case, bases[case['base']])}) + '\n')
        answers.flush()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    answers.write(json.dumps({'peakBytes': peak * 1024}) + '\n')


def every_name(store: FolderStore) -> list[str]:
    kinds = ('segments', 'slices', 'layers', 'sidecars', 'recovery-points', 'keys')
    return [name for kind in kinds for name in store.names(f'{kind}/')]


def alarmed(_signal: int, _frame: object) -> None:
    raise Hung


def answer(case: dict[str, Any], base: dict[str, bytes]) -> dict[str, Any]:
    objects = dict(base)
    for name, content in case['objects'].items():
        if content is None:
            objects.pop(name, None)
        else:
            objects[name] = base64.b64decode(content)
    signal.alarm(CASE_SECONDS_MAX)
    try:
        return outcome(case, MemoryStore(objects))
    except Refused as refused:
        found = {'code': refused.code, 'name': refused.name, 'place': refused.place, 'what': refused.what}
        return {'outcome': 'refused', **found}
    except Hung:
        return {'outcome': 'hung'}
    except Exception:  # noqa: BLE001 - a crash is an answer here: the test fails by it
        return {'outcome': 'crashed', 'what': traceback.format_exc()}
    finally:
        signal.alarm(0)


def outcome(case: dict[str, Any], store: MemoryStore) -> dict[str, Any]:
    key_file = case.get('keyFile')
    keys = KeyRing(read_key_file(key_file) if key_file else [], [])
    if case.get('check'):
        found = Check(store, keys, lambda _line: None).run()
        return {
            'outcome': 'checked',
            'damaged': list(found.damaged),
            'needed': found.needed,
            'touched': found.touched,
            'locked': list(found.locked),
            'frames': found.frames,
            'framesNeeded': found.frames_needed,
            'opened': found.frames_opened,
        }
    disk = disk_of_point(find_point(store, case['vmKey'], case['recoveryPointId']), case['disk'])
    sink = PageDigest(disk.size_bytes)
    restore_disk(store, keys, disk, sink)
    return {'outcome': 'restored', 'digest': sink.hexdigest()}


def main() -> None:
    """On standard input and output."""
    run_batch(sys.stdin, sys.stdout)
