"""A container of Azure Blob Storage, or of its emulator, read over HTTP."""

import base64
import binascii
import email.utils
import hashlib
import hmac
import http.client
import time
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from .refusal import Refused
from .stores import missing, short

API_VERSION = '2021-12-02'
TRIES_MAX = 5
TIMEOUT_SECONDS = 60
LIST_BYTES_MAX = 64 * 1024 * 1024

Words = dict[str, str]


class AzureStore:
    """`url` is the container's, without a query. `sas`, a query string, or `account_key`, base64, opens it."""

    def __init__(self, url: str, sas: str | None, account_key: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ('http', 'https') or not parts.hostname or parts.query or not parts.path.strip('/'):
            raise Refused('not-found', 'vault', '', 'is no URL of a container; a SAS is given apart from it')
        self.host, self.scheme, self.netloc = parts.hostname, parts.scheme, parts.netloc
        self.path = parts.path.rstrip('/')
        self.sas = dict(parse_qsl((sas or '').lstrip('?')))
        try:
            self.account_key = base64.b64decode(account_key or '', validate=True)
        except binascii.Error:
            raise Refused('not-found', 'vault', '', 'the account key is no base64') from None
        self.account = self.path.split('/')[1] if self.path.count('/') > 1 else parts.hostname.split('.')[0]
        self.port = parts.port
        self.connection: http.client.HTTPConnection | None = None

    def size(self, name: str) -> int:
        length = self.ask('HEAD', name, {}, {})[0].get('content-length', '')
        if not length.isdecimal():
            raise Refused('unreadable', name, '', 'the storage account does not say how long it is')
        return int(length)

    def read(self, name: str, at: int, length: int) -> bytes:
        if length == 0:
            return b''
        _, body = self.ask('GET', name, {}, {'x-ms-range': f'bytes={at}-{at + length - 1}'}, length)
        if len(body) != length:
            raise short(name, at, length)
        return body

    def names(self, prefix: str) -> Iterator[str]:
        query = {'restype': 'container', 'comp': 'list', 'prefix': prefix}
        while True:
            _, body = self.ask('GET', '', query, {}, LIST_BYTES_MAX)
            try:
                page = ElementTree.fromstring(body)
            except ElementTree.ParseError:
                raise Refused('unreadable', prefix, '', 'the listing is not XML') from None
            for name in page.iterfind('./Blobs/Blob/Name'):
                yield name.text or ''
            marker = page.findtext('./NextMarker') or ''
            if not marker:
                return
            query['marker'] = marker

    def ask(self, method: str, name: str, query: Words, extra: Words, length_max: int = 0) -> tuple[Words, bytes]:
        """One answer; faults that may pass are tried again with growing waits."""
        for count in range(TRIES_MAX):
            try:
                status, headers, body = self.ask_once(method, name, query, extra, length_max)
            except (OSError, http.client.HTTPException):
                status, headers, body = 0, {}, b''
                self.connection = None
            if status in (200, 206):
                return headers, body
            if status == 404 and name:
                raise missing(name)
            if status == 416:
                raise Refused('short', name, extra.get('x-ms-range', ''), 'the object ends before')
            if status not in (0, 408, 429, 500, 502, 503, 504):
                break
            if count + 1 < TRIES_MAX:
                time.sleep(0.2 * 2**count)
        told = 'does not answer' if status == 0 else f'answers {status}'
        raise Refused('unreadable', name or 'vault', '', f'the storage account {told}{self.way_in(status)}')

    def way_in(self, status: int) -> str:
        """What opens a container that stays closed. To those who show nothing, a private one may be told as missing."""
        known = {'DELTAVAULT_SAS': self.sas, 'DELTAVAULT_ACCOUNT_KEY': self.account_key}
        given = ' and '.join(name for name, value in known.items() if value)
        if status in (401, 403, 404, 409) and not given:
            return ': set DELTAVAULT_SAS (allowing to read and list) or DELTAVAULT_ACCOUNT_KEY in the environment'
        if status in (401, 403):
            return f': {given} of the environment is a wrong one, or has ended, or does not allow to read and list'
        return ': there is no such container' if status == 404 else ''

    def ask_once(self, method: str, name: str, query: Words, extra: Words, length_max: int) -> tuple[int, Words, bytes]:
        if self.connection is None:
            kind = http.client.HTTPSConnection if self.scheme == 'https' else http.client.HTTPConnection
            self.connection = kind(self.host, self.port, timeout=TIMEOUT_SECONDS)
        path = quote(f'{self.path}/{name}' if name else self.path)
        headers = {'x-ms-version': API_VERSION, 'x-ms-date': email.utils.formatdate(usegmt=True), **extra}
        if self.account_key:
            headers['Authorization'] = self.authorization(method, path, query, headers)
        asked = urlencode({**query, **self.sas}, quote_via=quote)
        self.connection.request(method, f'{path}?{asked}' if asked else path, headers=headers)
        response = self.connection.getresponse()
        if response.status in (200, 206):
            body = response.read(length_max + 1) if method == 'GET' else b''
            self.keep_if_read(response)
            return response.status, {key.lower(): value for key, value in response.getheaders()}, body
        response.read(1 << 16)
        self.keep_if_read(response)
        return response.status, {}, b''

    def keep_if_read(self, response: http.client.HTTPResponse) -> None:
        """A connection with bytes left over cannot be asked again."""
        if response.isclosed() or response.read(1) == b'':
            return
        if self.connection is not None:
            self.connection.close()
        self.connection = None

    def authorization(self, method: str, path: str, query: Words, headers: Words) -> str:
        """Shared Key: https://learn.microsoft.com/rest/api/storageservices/authorize-with-shared-key."""
        named = ''.join(f'{key}:{headers[key]}\n' for key in sorted(headers) if key.startswith('x-ms-'))
        asked = ''.join(f'\n{key}:{query[key]}' for key in sorted(query))
        signed = f'{method}{chr(10) * 12}{named}/{self.account}{path}{asked}'
        digest = hmac.new(self.account_key, signed.encode('utf-8'), hashlib.sha256).digest()
        return f'SharedKey {self.account}:{base64.b64encode(digest).decode("ascii")}'
