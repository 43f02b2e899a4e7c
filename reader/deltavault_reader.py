#!/usr/bin/python3
"""Reads a vault by docs/format.md alone: lists recovery points, restores disks, checks everything that is reachable."""

import argparse
import os
import sys
from typing import NoReturn

sys.dont_write_bytecode = True

try:
    from deltavault.azure_store import AzureStore
    from deltavault.batch import main as batch_main
    from deltavault.check import Check
    from deltavault.keys import KeyRing, read_key_file
    from deltavault.record import find_point, listed_points, read_point
    from deltavault.refusal import Refused
    from deltavault.restore import disk_of_point, restore_disk
    from deltavault.sinks import SparseFile
    from deltavault.stores import FolderStore, Store
except ImportError as absent:
    print(
        f'deltavault_reader: {sys.executable} cannot import {absent.name}. On Debian and Ubuntu: apt-get install python3-zstandard '
        'python3-cryptography, then run this with /usr/bin/python3. Elsewhere: pip install zstandard cryptography.',
        file=sys.stderr,
    )
    sys.exit(3)

VAULT_HELP = 'a folder whose files have the names of the objects, or the URL of a container, without a query'
EPILOG = """A container is opened by the environment: DELTAVAULT_SAS (a query string) or DELTAVAULT_ACCOUNT_KEY.
Exit codes: 0 done; 1 the command line is wrong; 2 damaged, missing, locked or unknown: a line each says what;
3 the reader itself failed."""


class Parser(argparse.ArgumentParser):
    """Wrong words must not pass for damage."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(1, f'deltavault_reader: {message}\n')


def arguments() -> argparse.Namespace:
    parser = Parser(
        description=__doc__, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest='command', required=True)
    for name, told in (
        ('list', 'show recovery points'),
        ('restore', 'write one disk'),
        ('check', 'prove what is reachable'),
    ):
        command = commands.add_parser(name, help=told)
        command.add_argument('vault', help=VAULT_HELP)
        if name == 'restore':
            command.add_argument('vm', help='key of the VM, as in the listing')
            command.add_argument('point', help='id of the recovery point')
            command.add_argument('disk', help='os or lun-<n>')
            command.add_argument('--to', required=True, metavar='FILE', help='a new file; zeros become holes')
        if name != 'list':
            command.add_argument('--key-file', action='append', default=[], help='a key file that wraps data keys')
            command.add_argument(
                '--data-key-file', action='append', default=[], help='an unwrapped data key: 64 hex digits'
            )
    commands.add_parser('batch', help='cases of a test, as JSON lines')
    return parser.parse_args()


def store_of(vault: str) -> Store:
    if not vault.startswith(('http://', 'https://')):
        return FolderStore(vault)
    return AzureStore(vault, os.environ.get('DELTAVAULT_SAS'), os.environ.get('DELTAVAULT_ACCOUNT_KEY'))


def vault_of(vault: str) -> Store:
    """A store in which there is a recovery point: another folder, or another container, must not pass for a vault that is whole."""
    store = store_of(vault)
    if next(listed_points(store), None) is None:
        what = 'holds no recovery point (recovery-points/): it is no vault, or no backup was committed'
        raise Refused('not-found', vault, '', what)
    return store


def key_ring(options: argparse.Namespace) -> KeyRing:
    return KeyRing(
        [key for path in options.key_file for key in read_key_file(path)],
        [key for path in options.data_key_file for key in read_key_file(path)],
    )


def run_list(options: argparse.Namespace) -> int:
    """One line a disk: key and name of the VM, recovery point, when it was taken, disk, bytes."""
    store = vault_of(options.vault)
    damaged = 0
    for listed in listed_points(store):
        try:
            point = read_point(store, listed)
        except Refused as refused:
            damaged += 1
            complain(refused.line())
            continue
        if point is None:
            continue
        for disk in point.disks:
            print(
                listed.vm_key,
                shown(point.vm_name),
                listed.recovery_point_id,
                shown(point.taken_at),
                disk.disk,
                disk.size_bytes,
                sep='\t',
            )
    return 2 if damaged else 0


def shown(text: str) -> str:
    """Printable, whatever a record holds."""
    return (
        ''.join(letter if letter.isprintable() else '?' for letter in text).encode('ascii', 'replace').decode('ascii')
    )


def run_restore(options: argparse.Namespace) -> int:
    store, keys = vault_of(options.vault), key_ring(options)
    disk = disk_of_point(find_point(store, options.vm, options.point), options.disk)
    target = SparseFile(options.to, disk.size_bytes)
    try:
        restore_disk(store, keys, disk, target)
    except BaseException:
        target.abandon()
        raise
    target.finish()
    return 0


def run_check(options: argparse.Namespace) -> int:
    """Damage to standard error as it is found; at last one line of what was seen."""
    keys = key_ring(options)
    found = Check(vault_of(options.vault), keys, complain).run()
    needed = len(found.needed)
    print(
        f'{found.recovery_points} recovery points, {found.layers} layers; {found.frames} frames of {found.frame_bytes} bytes: '
        f'{found.frames_needed} needed by restores, {found.frames - found.frames_needed} by none, '
        f'{found.frames_opened} opened, {found.frames_proven} proven by digest alone; '
        f'{needed} places damaged that restores need, {len(found.damaged) - needed} that none needs'
    )
    return 2 if found.damaged or found.locked else 0


def complain(line: str) -> None:
    print(f'deltavault_reader: {shown(line)}', file=sys.stderr)


def main() -> int:
    options = arguments()
    if options.command == 'batch':
        batch_main()
        return 0
    return {'list': run_list, 'restore': run_restore, 'check': run_check}[options.command](options)


if __name__ == '__main__':
    try:
        code = main()
        sys.stdout.flush()
    except Refused as refused:
        complain(refused.line())
        code = 2
    except KeyboardInterrupt:
        complain('stopped')
        code = 130
    except Exception as error:  # noqa: BLE001 - whatever it is, people get a line
        complain(f'the reader itself failed: {type(error).__name__}')
        code = 3
    sys.exit(code)
