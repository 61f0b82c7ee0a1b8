"""Settings whose value lies in AWS Secrets Manager: `aws-secret:` and a secret's name or ARN.

A secret is read when its setting is, inside the process, and cached for minutes. Code that finds
that it no longer works drops it, so a rotated password takes effect without a restart.
"""

from __future__ import annotations

import threading
import time

from totesys_dagster.errors import SettingError

PREFIX = "aws-secret:"
# A sensor connects every few seconds, and each read of a secret costs money.
KEEP_SECONDS = 300
CONNECT_SECONDS, READ_SECONDS, ATTEMPTS = 5, 15, 3

_kept: dict[str, tuple[float, str]] = {}
_lock = threading.Lock()


def read(setting: str, value: str) -> str:
    """The secret that `value` of `setting` refers to. Raises SettingError, without the secret."""
    with _lock:
        until, secret = _kept.get(value, (0.0, ""))
        if time.monotonic() >= until:
            secret = _fetch(setting, value.removeprefix(PREFIX).strip())
            _kept[value] = (time.monotonic() + KEEP_SECONDS, secret)
        return secret


def forget(value: str) -> bool:
    """Read the secret again next time. Returns whether one was cached."""
    with _lock:
        return _kept.pop(value, None) is not None


def _fetch(setting: str, name: str) -> str:
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    patience = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
    )
    try:
        answer = boto3.client("secretsmanager", config=patience).get_secret_value(SecretId=name)
    except ClientError as error:
        reason = error.response["Error"]["Code"]
    except (BotoCoreError, ValueError) as error:
        reason = str(error).partition("\n")[0].rstrip(".")
    else:
        if text := answer.get("SecretString", "").strip():
            return str(text)
        reason = "it holds no text"
    raise SettingError(
        f"{setting} refers to the secret {name!r} of AWS Secrets Manager, which cannot be read"
        f" ({reason}): check its name, the region, and that the role may read it."
    )
