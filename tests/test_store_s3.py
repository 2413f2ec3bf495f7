"""A store on S3: what a person chose wrongly, what may pass by itself, and servers that lie."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, ClassVar

import pytest

from steps.lib.errors import CnibenchError, InputError, TransientError
from steps.lib.store import open_store
from tests.store_rows import measurement, put_measurement

if TYPE_CHECKING:
    from tests.seaweedfs import S3Server

pytest_plugins = ["tests.seaweedfs"]

XML = '<?xml version="1.0"?><Error><Code>{code}</Code><Message>as asked</Message></Error>'


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "somebody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "somebody's secret")
    monkeypatch.delenv("AWS_REGION", raising=False)


@pytest.fixture
def bucket(s3_server: "S3Server", monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return s3_server.new_bucket()


@pytest.mark.s3
@pytest.mark.parametrize(
    ("variable", "value", "complaint"),
    [
        ("AWS_ACCESS_KEY_ID", "stranger", "correct AWS_ACCESS_KEY_ID"),
        ("AWS_SECRET_ACCESS_KEY", "wrong", "correct AWS_SECRET_ACCESS_KEY"),
    ],
)
def test_a_wrong_key_is_refused(
    bucket: str, monkeypatch: pytest.MonkeyPatch, variable: str, value: str, complaint: str
) -> None:
    monkeypatch.setenv(variable, value)
    for create in (True, False):
        with pytest.raises(InputError, match=complaint):
            open_store(f"s3://{bucket}", create=create)


@pytest.mark.s3
def test_a_bucket_that_is_not_there_and_one_that_cannot_be(bucket: str) -> None:
    with pytest.raises(InputError, match="there is no such bucket; make it"):
        open_store("s3://nobody-made-this-one")
    with pytest.raises(InputError, match="correct --store"):
        open_store("s3://Not_A_Bucket!")


@pytest.mark.s3
def test_stores_of_one_bucket_do_not_see_each_other(bucket: str) -> None:
    one, other = open_store(f"s3://{bucket}/one"), open_store(f"s3://{bucket}/other/")
    whole = open_store(f"s3://{bucket}", create=False)
    put_measurement(one, measurement())
    assert len(one.objects("measurements/")) == 1
    assert other.objects("measurements/") == []
    assert whole.exists("one/measurements/campaign=demo/block=a.base.r1/cross-node.tcp.parquet")


@pytest.mark.s3
def test_https_to_a_server_of_http(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    host = open_store(f"s3://{bucket}").address.rpartition("//")[2]
    monkeypatch.setenv("CNIBENCH_S3_ENDPOINT", f"https://{host}")
    with pytest.raises(InputError, match="is it http, not https"):
        open_store(f"s3://{bucket}")


def test_a_server_that_does_not_answer_is_tried_again_later(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("steps.lib.store.s3.RETRIES", 0)
    monkeypatch.setenv("CNIBENCH_S3_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TransientError, match="does not answer"):
        open_store("s3://bucket")


@pytest.mark.parametrize(
    "endpoint", ["127.0.0.1:8333", "ftp://host", "http://host/path", "http://"]
)
def test_an_endpoint_that_is_no_url(monkeypatch: pytest.MonkeyPatch, endpoint: str) -> None:
    monkeypatch.setenv("CNIBENCH_S3_ENDPOINT", endpoint)
    with pytest.raises(InputError, match="write scheme, host and port"):
        open_store("s3://bucket")


def test_variables_that_are_not_set_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "")
    with pytest.raises(InputError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        open_store("s3://bucket")


class Pretender(BaseHTTPRequestHandler):
    """An S3 server that answers every PUT in the same way, whatever its headers say."""

    put_status: ClassVar[int] = 200
    put_code: ClassVar[str] = ""
    get_body: ClassVar[str] = XML.format(code="NoSuchKey")
    puts: ClassVar[int] = 0

    def do_GET(self) -> None:
        self._answer(404, self.get_body)

    def do_PUT(self) -> None:
        type(self).puts += 1
        self.rfile.read(int(self.headers["content-length"]))
        self._answer(self.put_status, XML.format(code=self.put_code) if self.put_code else "")

    def do_DELETE(self) -> None:
        self._answer(403, XML.format(code="AccessDenied"))

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def _answer(self, status: int, body: str) -> None:
        self.send_response(status)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(body)))
        self.send_header("etag", '"x"')
        self.end_headers()
        self.wfile.write(body.encode())


@pytest.fixture
def pretender(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Pretender]]:
    class Mine(Pretender):
        puts = 0

    with ThreadingHTTPServer(("127.0.0.1", 0), Mine) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("CNIBENCH_S3_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        yield Mine
        server.shutdown()


def test_a_server_that_would_overwrite_is_not_used(pretender: type[Pretender]) -> None:
    with pytest.raises(InputError, match="ignores `If-None-Match"):
        open_store("s3://bucket")
    assert pretender.puts == 2, "nothing but the probe was written"


@pytest.mark.parametrize(
    ("status", "code", "kind", "complaint", "puts"),
    [
        (503, "SlowDown", TransientError, "SlowDown", 1),
        (500, "InternalError", TransientError, "InternalError", 1),
        (409, "ConditionalRequestConflict", TransientError, "is being written by others", 5),
        (403, "AccessDenied", InputError, "give it read and write access", 1),
    ],
)
def test_a_write_that_fails_is_not_repeated_behind_our_back(
    pretender: type[Pretender],
    status: int,
    code: str,
    kind: type[CnibenchError],
    complaint: str,
    puts: int,
) -> None:
    pretender.put_status, pretender.put_code = status, code
    with pytest.raises(kind, match=complaint):
        open_store("s3://bucket")
    assert pretender.puts == puts


def test_something_that_is_not_s3(pretender: type[Pretender]) -> None:
    pretender.get_body = "<html>hello</html>"
    with pytest.raises(InputError, match=r"cannot read cnibench-store\.json"):
        open_store("s3://bucket")
