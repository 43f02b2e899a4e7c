"""Names of objects. Names come out of stored bytes, so they are matched as wholes before anything is opened by them."""

import re

ID = r'[a-z0-9](?:[a-z0-9-]|\.(?!\.)){0,99}'
DISK = r'(?:os|lun-(?:0|[1-9][0-9]{0,3}))'

ID_PATTERN = re.compile(rf'{ID}\Z')
DISK_PATTERN = re.compile(rf'{DISK}\Z')
KEY_ID_PATTERN = re.compile(r'(?!0{32})[0-9a-f]{32}\Z')
DIGEST_PATTERN = re.compile(r'[0-9a-f]{64}\Z')
ID_AND_DISK_PATTERN = re.compile(rf'({ID})/({DISK})\Z')
SEGMENT_PATTERN = re.compile(rf'segments/({ID})/({DISK})/([0-9]{{6}})\.((?!0000)[0-9]{{4}})-([0-9]{{5}})\Z')
RECORD_PATTERN = re.compile(rf'recovery-points/({ID})/({ID})/((?!0000)[0-9]{{4}})\.json\Z')
KEY_PATTERN = re.compile(r'keys/((?!0{32})[0-9a-f]{32})/((?!0000)[0-9]{4})\.json\Z')

# (id, disk, slice, attempt, n)
SegmentKey = tuple[str, str, int, int, int]


def segment_key(name: str) -> SegmentKey | None:
    """The parts of a segment's name; None where it is no such name."""
    match = SEGMENT_PATTERN.match(name)
    if match is None:
        return None
    found, disk, slice_number, attempt, n = match.groups()
    return (found, disk, int(slice_number), int(attempt), int(n))


def segment_name(key: SegmentKey) -> str:
    """The name of the segment with these parts."""
    return f'segments/{key[0]}/{key[1]}/{key[2]:06d}.{key[3]:04d}-{key[4]:05d}'
