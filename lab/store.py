"""The store of the management cluster: its buckets, and who may do what in them."""

from typing import Any

from minio import Minio, MinioAdmin
from minio.credentials.providers import StaticProvider
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from lab import credentials
from lab.layout import STORE, Cluster, Lab
from steps.lib.errors import TransientError

IN_BUCKET = ("s3:GetBucketLocation", "s3:ListBucket")
RIGHTS = {
    # Results are written once and stay.
    credentials.RESULTS: ("s3:GetObject", "s3:PutObject"),
    credentials.ARTIFACTS: ("s3:GetObject", "s3:PutObject", "s3:DeleteObject"),
}


def prepare(lab: Lab, cluster: Cluster) -> None:
    """Make the buckets and users; those that are there stay.

    Raises:
        TransientError: the store does not answer, or refuses.
    """
    secrets = credentials.of_store(lab, cluster)
    host, who = _place(lab), _administrator(lab, cluster)
    client = Minio(host, credentials=who, secure=False, region=credentials.REGION)
    admin = administration(lab, cluster)
    try:
        for name in RIGHTS:
            if not client.bucket_exists(name):
                client.make_bucket(name)
            admin.policy_add(name, policy=_policy(name))
            admin.user_add(name, secrets[name])
            admin.policy_set(name, user=name)
    except (MinioException, HTTPError) as error:
        raise TransientError(f"{cluster.name}: the store at {host}: {error}") from error


def administration(lab: Lab, cluster: Cluster) -> MinioAdmin:
    """The store's users and rights, for who administers it."""
    who = _administrator(lab, cluster)
    return MinioAdmin(endpoint=_place(lab), credentials=who, secure=False)


def _administrator(lab: Lab, cluster: Cluster) -> StaticProvider:
    secrets = credentials.of_store(lab, cluster)
    return StaticProvider(credentials.ADMINISTRATOR, secrets[credentials.ADMINISTRATOR])


def _place(lab: Lab) -> str:
    return lab.url_of(STORE).removeprefix("http://")


def _policy(name: str) -> dict[str, Any]:
    bucket = f"arn:aws:s3:::{name}"
    allowed = ((IN_BUCKET, bucket), (RIGHTS[name], f"{bucket}/*"))
    statements = [
        {"Effect": "Allow", "Action": list(actions), "Resource": [place]}
        for actions, place in allowed
    ]
    return {"Version": "2012-10-17", "Statement": statements}
