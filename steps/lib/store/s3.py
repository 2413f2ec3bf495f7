"""A store in a bucket of any S3-compatible server, by MinIO's client."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow.fs
import urllib3
from minio import Minio
from minio.error import MinioException, S3Error
from urllib3.exceptions import HTTPError, MaxRetryError, SSLError

from steps.lib.errors import InputError, TransientError
from steps.lib.store.base import NoSuchObjectError, StoredObject
from steps.lib.store.directory import user_cache

CONNECT_TIMEOUT_S = 5.0
READ_TIMEOUT_S = 60.0
RETRIES = 3
CONFLICT = 409
CONFLICT_TRIES = 5

_FULL = "the server's disk is full; make room there and start again, what is stored is whole"
_NO_SPACE = "no space left on device"
_ADVICE = {
    "XMinioStorageFull": _FULL,
    # What MinIO says when its disk becomes full in the middle of an object.
    "IncompleteBody": f"the server did not keep all that it was sent; if {_FULL}",
    "NoSuchBucket": "there is no such bucket; make it, or correct --store",
    "InvalidAccessKeyId": (
        "the server does not know this key, or it is disabled; correct AWS_ACCESS_KEY_ID"
    ),
    "SignatureDoesNotMatch": "the secret does not fit; correct AWS_SECRET_ACCESS_KEY",
    "AccessDenied": "this key may not do that; give it read and write access to the bucket",
    "RequestTimeTooSkewed": "this machine's clock is wrong; set it",
}
_BUSY = ("SlowDown", "ServiceUnavailable")


@dataclass(frozen=True)
class S3Settings:
    """Where the server is and who asks, from the environment: secrets stand in no file of ours."""

    endpoint: str
    access_key: str
    secret_key: str
    session_token: str | None
    region: str

    @property
    def host(self) -> str:
        """Endpoint without its scheme."""
        return urlsplit(self.endpoint).netloc

    @property
    def scheme(self) -> str:
        """``http`` or ``https``."""
        return urlsplit(self.endpoint).scheme


def settings_from_environment() -> S3Settings:
    """Read the settings.

    Raises:
        InputError: a variable is missing or the endpoint is not a URL.
    """
    needed = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
    missing = [name for name in needed if not os.environ.get(name)]
    if missing:
        raise InputError(f"store on S3: set {' and '.join(missing)} in the environment")
    region = os.environ.get("AWS_REGION") or "us-east-1"
    endpoint = os.environ.get("CNIBENCH_S3_ENDPOINT") or f"https://s3.{region}.amazonaws.com"
    parts = urlsplit(endpoint)
    if parts.scheme not in ("http", "https") or not parts.netloc or parts.path.strip("/"):
        raise InputError(
            f"CNIBENCH_S3_ENDPOINT is {endpoint!r}; write scheme, host and port, "
            "for example http://127.0.0.1:8333"
        )
    access, secret = (os.environ[name] for name in needed)
    token = os.environ.get("AWS_SESSION_TOKEN") or None
    return S3Settings(endpoint, access, secret, token, region)


@dataclass(frozen=True)
class S3Store:
    """Objects of a bucket below a prefix. One PUT is atomic, so there is nothing to sweep."""

    bucket: str
    prefix: str
    settings: S3Settings

    @property
    def address(self) -> str:
        """Bucket and prefix, with the server."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/") + f" at {self.settings.endpoint}"

    @property
    def cache(self) -> Path:
        """In the user's own cache."""
        return user_cache(self.address)

    @cached_property
    def client(self) -> Minio:
        """The client.

        Only reads are tried again: when the answer to a PUT is lost, a second PUT would be told
        that the object exists, as if somebody else had made it.
        """
        retry = urllib3.Retry(
            total=RETRIES,
            backoff_factor=0.3,
            status_forcelist=(500, 502, 503, 504),
            allowed_methods=("GET", "HEAD"),
        )
        timeout = urllib3.Timeout(connect=CONNECT_TIMEOUT_S, read=READ_TIMEOUT_S)
        return Minio(
            self.settings.host,
            access_key=self.settings.access_key,
            secret_key=self.settings.secret_key,
            session_token=self.settings.session_token,
            secure=self.settings.scheme == "https",
            region=self.settings.region,
            http_client=urllib3.PoolManager(maxsize=16, timeout=timeout, retries=retry),
        )

    def create(self, key: str, data: bytes) -> bool:
        """See ``Store``.

        ``put_object`` of this client would send the condition as metadata of the object and
        overwrite; its inner ``_put_object`` sends it as the header it is.
        """
        for _ in range(CONFLICT_TRIES):
            with self._explained(f"create {key}"):
                try:
                    self.client._put_object(
                        self.bucket, self.prefix + key, data, headers={"If-None-Match": "*"}
                    )
                except S3Error as error:
                    if error.code == "PreconditionFailed":
                        return False
                    # AWS: another conditional write of this key is in flight; ask again.
                    if error.response.status != CONFLICT:
                        raise
                else:
                    return True
        raise TransientError(f"store {self.address}: {key} is being written by others; try later")

    def read(self, key: str) -> bytes:
        """See ``Store``."""
        with self._explained(f"read {key}"):
            try:
                response = self.client.get_object(self.bucket, self.prefix + key)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
                raise NoSuchObjectError(f"store {self.address}: no object {key}") from None
            with response:
                return response.read()

    def exists(self, key: str) -> bool:
        """See ``Store``."""
        with self._explained(f"look for {key}"):
            try:
                self.client.stat_object(self.bucket, self.prefix + key)
            except S3Error as error:
                if error.code != "NoSuchKey":
                    raise
                return False
            return True

    def objects(self, prefix: str) -> list[StoredObject]:
        """See ``Store``."""
        with self._explained(f"list {prefix}"):
            listed = self.client.list_objects(self.bucket, self.prefix + prefix, recursive=True)
            return sorted(
                (
                    StoredObject(
                        (found.object_name or "").removeprefix(self.prefix),
                        found.size or 0,
                        found.etag or "",
                    )
                    for found in listed
                    if not found.is_dir
                ),
                key=lambda found: found.key,
            )

    def probe(self) -> None:
        """See ``Store``. Some servers ignore the condition and overwrite without a word."""
        key = f"cnibench-probe/{uuid.uuid4().hex}"
        try:
            first, second = self.create(key, b"first"), self.create(key, b"second")
        finally:
            # A key that may not delete is good enough: all that stays is a few bytes.
            with suppress(InputError), self._explained(f"remove {key}"):
                self.client.remove_object(self.bucket, self.prefix + key)
        if not first or second:
            raise InputError(
                f"store {self.address}: the server ignores `If-None-Match: *`, so that a second "
                "run could overwrite results. Use one that honours create-only writes (AWS S3, "
                "MinIO, SeaweedFS), or a directory"
            )

    def filesystem(self) -> tuple[pyarrow.fs.FileSystem, str]:
        """See ``Store``."""
        filesystem = pyarrow.fs.S3FileSystem(
            endpoint_override=self.settings.host,
            scheme=self.settings.scheme,
            access_key=self.settings.access_key,
            secret_key=self.settings.secret_key,
            session_token=self.settings.session_token,
            region=self.settings.region,
            connect_timeout=CONNECT_TIMEOUT_S,
            request_timeout=READ_TIMEOUT_S,
        )
        return filesystem, f"{self.bucket}/{self.prefix}".rstrip("/")

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        where = f"store {self.address}: cannot {what}"
        try:
            yield
        except S3Error as error:
            full = _NO_SPACE in (error.message or "")
            advice = _FULL if full else _ADVICE.get(error.code or "")
            transient = error.response.status >= 500 or error.code in _BUSY
            if transient and advice is None:
                raise TransientError(f"{where}: {error.code}: {error.message}") from error
            advice = advice or error.message or "the server gave no reason"
            raise InputError(f"{where}: {error.code}: {advice}") from error
        except MaxRetryError as error:
            if isinstance(error.reason, SSLError):
                raise InputError(f"{where}: {error.reason}: is it http, not https?") from error
            raise TransientError(f"{where}: the server does not answer ({error.reason})") from error
        except HTTPError as error:
            raise TransientError(f"{where}: the connection broke ({error})") from error
        except MinioException as error:
            raise InputError(f"{where}: {error}; does this endpoint speak S3?") from error
        except ValueError as error:
            raise InputError(f"{where}: {error}; correct --store") from error
