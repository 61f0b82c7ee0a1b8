"""Why a request to S3 failed, and what helps, for people.

boto3 distinguishes failures well; this module adds the remedy. No message contains a secret: only
the hosts of proxies and endpoints are named, and the output of a program that provides credentials
is left out.
"""

from __future__ import annotations

import datetime as dt
import email.utils
import errno
import http.client
import socket
import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from botocore import exceptions as boto
from botocore.exceptions import BotoCoreError, ClientError
from urllib3.exceptions import HTTPError

from totesys_dagster.lake.backend import BackendError

# What a request, and a client that is made for it, may raise: boto3 has its own errors, and lets
# those of its parts pass.
FAILURES = (
    BotoCoreError,
    ClientError,
    HTTPError,
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    ValueError,
)

# The codes of an answer to credentials that have expired.
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

# So many characters of what others say are passed on.
LONGEST = 300


class AnswerWithoutReasonError(BackendError):
    """The request was refused by an answer that has a status only."""


@dataclass(frozen=True)
class Where:
    """What was asked: all but the bucket is empty when there was no client yet.

    `source` is where the credentials come from, in boto3's words.
    """

    bucket: str
    endpoint: str = ""
    region: str = ""
    source: str = ""


@dataclass(frozen=True)
class Words:
    """Why, and what to do, each the part of a sentence; names in braces are filled in."""

    why: str
    remedy: str


NO_CREDENTIALS = BackendError(
    "no AWS tool would find credentials here",
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role",
)

# Where credentials come from, and what to do when they no longer hold.
_SOURCES = {
    "config-file": ("the profile", "put new ones into the file of profiles"),
    "container-role": ("the container's role", "look at what gives them, and at the clock here"),
    "custom-process": ("the profile's credential_process", "look at what that program gives"),
    "env": (
        "the environment",
        "put new ones into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
    ),
    "iam-role": ("the machine's role", "look at what gives them, and at the clock here"),
    "login": ("aws login", "run aws login"),
    "shared-credentials-file": ("the credentials file", "put new ones there"),
    "sso": ("the sign-in of SSO", "run aws sso login"),
}
_OTHER_SOURCE = ("the profile's role", "look at that role, and at the clock here")

_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
}

_ALLOW = (
    "allow s3:PutObject, s3:GetObject and s3:ListBucket there to the credentials of {source}, and"
    " look for a policy of the bucket that denies them"
)
_BUSY = Words("{store} asks for fewer requests", "nothing is lost: wait a while")
_BROKEN = Words(
    "{store} fails",
    "nothing is lost: wait a while, and look at the store's own state, its disk and its log",
)
_CHANGED = Words("what arrived is not what was sent", "look for a proxy that changes requests")
_CLOCK = Words("the clock of this machine is {skew} off that of {store}", "set it by NTP")
_DENIED = Words("{store} denies {action}", _ALLOW)
_EXPIRED = Words("the credentials of {source} have expired", "{renew}")
_FULL = Words("{store} is full", "make room")
_NO_KMS = Words(
    "the bucket's KMS key cannot be used",
    "enable it, and allow kms:GenerateDataKey and kms:Decrypt to the credentials of {source}",
)
_REGION = Words(
    "the bucket is in another region than {region}",
    "set AWS_DEFAULT_REGION, or the region of the profile, to that of the bucket",
)
_UNABLE = Words(
    "{store} cannot do {action} as the lake needs it, with a condition and a checksum",
    "use a store, or a version of it, with conditional writes, such as AWS S3",
)
_UNKNOWN_KEY = Words(
    "{store} does not know the access key of {source}",
    "correct the key, or the endpoint: each store has keys of its own",
)

_CODES = {
    "AccessDenied": _DENIED,
    "AccountProblem": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _CHANGED,
    "EntityTooLarge": Words("{store} takes no object of that size", "lower TOTESYS_PART_BYTES"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IllegalLocationConstraintException": _REGION,
    "InsufficientStorage": _FULL,
    "InternalError": _BROKEN,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidBucketName": Words("{bucket} is not a bucket's name", "correct it"),
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "InvalidDigest": _CHANGED,
    "InvalidObjectState": Words("the object was moved to an archive", "restore it from there"),
    "InvalidToken": Words("{store} does not know the session token of {source}", "{renew}"),
    "KeyTooLongError": Words("the key of the object is too long", "choose a shorter prefix"),
    "MethodNotAllowed": _UNABLE,
    "NoSuchBucket": Words(
        "{store} has no bucket {bucket}",
        "make it, or correct its name, the region or the endpoint",
    ),
    "NotImplemented": _UNABLE,
    "PermanentRedirect": _REGION,
    "QuotaExceeded": _FULL,
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestTimeout": Words("the object arrived too slowly", "look at the network on the way"),
    "ServiceUnavailable": _BUSY,
    "SignatureDoesNotMatch": Words(
        "the secret key of {source} does not fit its access key",
        "correct it, or look for a proxy that changes requests",
    ),
    "SlowDown": _BUSY,
    "TemporaryRedirect": _REGION,
    "TokenRefreshRequired": _EXPIRED,
    "TooManyRequests": _BUSY,
    "XAmzContentSHA256Mismatch": _CHANGED,
    "XMinioStorageFull": _FULL,
}

# The same for answers without a code.
_STATUSES = {
    301: _REGION,
    307: _REGION,
    403: Words("{store}, or a proxy in its place, denies {action}", _ALLOW),
    405: _UNABLE,
    407: Words("a proxy wants a password", "write it into HTTPS_PROXY and HTTP_PROXY"),
    429: _BUSY,
    501: _UNABLE,
    503: _BUSY,
    507: _FULL,
}
_OTHER_ANSWER = Words("{store} refuses {action}", "look at its settings, and at its log")
_NO_S3 = Words(
    "what answers at {endpoint} is not S3",
    "correct the endpoint (AWS_ENDPOINT_URL, or endpoint_url of the profile), or take away the"
    " proxy that answers in its place",
)

# Errors below 500 after which the same request may succeed.
_PASSING = {"RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "IncompleteBody"}

_ENDPOINT = "or correct the endpoint (AWS_ENDPOINT_URL, or endpoint_url of the profile)"
_CONNECTION = {
    errno.ECONNREFUSED: Words("nobody listens at {place}", f"start what should, {_ENDPOINT}"),
    errno.EHOSTUNREACH: Words("no way leads to {place}", f"look at the network, {_ENDPOINT}"),
    errno.ENETUNREACH: Words("no way leads to {place}", f"look at the network, {_ENDPOINT}"),
    errno.EACCES: Words("this machine forbids connections to {place}", "allow them there"),
    errno.EPERM: Words("this machine forbids connections to {place}", "allow them there"),
    errno.EMFILE: Words(
        "this process has too many files and connections open", "raise the limit (ulimit -n)"
    ),
}
_UNKNOWN_NAME = Words("the name of {place} is unknown", f"look at DNS, {_ENDPOINT}")
_SILENT = Words(
    "{place} does not answer", f"look for a firewall on the way and at the store, {_ENDPOINT}"
)
_HUNG_UP = Words(
    "{place} hangs up without an answer",
    "look at its log and at what lies on the way; an endpoint with TLS begins with https://",
)

# What is said of a certificate → which of the failures it is.
_CERTIFICATES = {
    "match": Words(
        "the certificate of {place} is for another name",
        "write the endpoint with the name that the certificate has",
    ),
    "expired": Words("the certificate of {place} has expired", "renew it"),
    "not yet valid": Words(
        "the certificate of {place} is not valid yet", "look at the clock of this machine"
    ),
    "": Words(
        "the certificate of {place} is not signed by an authority that is trusted here",
        "name a file with that authority's certificate in AWS_CA_BUNDLE, or as ca_bundle of the"
        " profile",
    ),
}
_NO_TLS = Words(
    "{place} does not speak TLS", "correct its port, or write http:// if it is to go without"
)
_NO_BUNDLE = Words(
    "the file of authorities that AWS_CA_BUNDLE, or ca_bundle of the profile, names cannot be read",
    "correct it",
)
_OTHER_TLS = Words("TLS with {place} fails", "look at what it asks of those who connect")


def answer(error: Exception) -> tuple[int, str]:
    """The status and the code of S3's answer; 0 and nothing for a failure without an answer."""
    if not isinstance(error, ClientError):
        return 0, ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status, "" if code.isdecimal() else code  # the status again, where there is no body


def is_foreign(error: Exception) -> bool:
    """Whether somebody else answered in the place of an S3, which writes XML."""
    kind = _headers(error).get("content-type", "")
    return kind.startswith(("text/html", "text/plain", "application/json")) and not answer(error)[1]


def may_pass(error: Exception) -> bool:
    """Whether the same request may succeed a moment later."""
    status, code = answer(error)
    if status:
        again = status == 429 or (status >= 500 and status != 501)
        return code in _PASSING or (again and not is_foreign(error))
    if isinstance(error, boto.ProxyConnectionError):
        return False
    if any(
        isinstance(cause, ssl.SSLCertVerificationError | FileNotFoundError | socket.gaierror)
        for cause in _causes(error)
    ):
        return False
    return isinstance(
        error, boto.HTTPClientError | boto.ConnectionError | boto.IncompleteReadError | HTTPError
    )


def explain(error: Exception, where: Where) -> BackendError:
    """The failure in words."""
    if isinstance(error, ClientError):
        return _of_answer(error, where)
    if isinstance(error, boto.HTTPClientError | boto.ConnectionError | HTTPError):
        return _of_connection(error, where)
    return _of_settings(error, where)


def no_s3(where: Where, detail: str) -> BackendError:
    """What answers is not S3; `detail` says what tells."""
    return _error(_NO_S3, detail, endpoint=where.endpoint)


def _of_answer(error: ClientError, where: Where) -> BackendError:
    status, code = answer(error)
    message = error.response.get("Error", {}).get("Message", "")
    phrase = http.client.responses.get(status, "")
    detail = _plain(code, message) if code else _plain(f"HTTP {status} {phrase}")
    if error.operation_name not in _ACTIONS:
        return BackendError(
            f"{_source(where)[0]} gives no credentials ({error.operation_name}: {detail})",
            "look at the profile and at the role's trust policy",
        )
    if is_foreign(error):
        return no_s3(where, f"{detail}, {_headers(error)['content-type']}")
    source, renew = _source(where)
    words = _CODES.get(code) or (_STATUSES.get(status) if not code else None)
    if words is None:
        words = _BROKEN if status >= 500 else _OTHER_ANSWER
    if code.startswith("KMS.") or (words is _DENIED and "kms:" in message):
        words = _NO_KMS
    return _error(
        words,
        detail,
        kind=BackendError if code or status >= 500 else AnswerWithoutReasonError,
        action=_ACTIONS[error.operation_name],
        bucket=where.bucket,
        region=where.region or "the one that is set",
        renew=renew,
        skew=_skew(error),
        source=source,
        store=f"the store at {where.endpoint}",
    )


def _of_connection(error: Exception, where: Where) -> BackendError:
    known = getattr(error, "kwargs", {})
    place = _host(known.get("proxy_url") or known.get("endpoint_url") or where.endpoint)
    causes = [*_causes(error)]
    detail = _plain(str(causes[-1]))
    if isinstance(error, boto.SSLError):
        return _error(_of_tls(causes), detail, place=place)
    words = next(
        (
            _CONNECTION[cause.errno]
            for cause in causes
            if isinstance(cause, OSError) and cause.errno in _CONNECTION
        ),
        _HUNG_UP,
    )
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        words = _UNKNOWN_NAME
    elif isinstance(error, boto.ConnectTimeoutError | boto.ReadTimeoutError):
        words = _SILENT
    if isinstance(error, boto.ProxyConnectionError):
        return BackendError(
            f"the proxy at {place} cannot be used ({detail})",
            "correct HTTPS_PROXY and HTTP_PROXY, or write the endpoint's host into NO_PROXY",
        )
    return _error(words, detail, place=place)


def _of_tls(causes: list[BaseException]) -> Words:
    said = " ".join(map(str, causes))
    if "CERTIFICATE_VERIFY_FAILED" in said or "doesn't match" in said:
        return next(words for hint, words in _CERTIFICATES.items() if hint in said)
    if "WRONG_VERSION_NUMBER" in said or "UNEXPECTED_EOF" in said:
        return _NO_TLS
    if any(isinstance(cause, FileNotFoundError | PermissionError) for cause in causes):
        return _NO_BUNDLE
    return _NO_BUNDLE if "X509" in said or "PEM" in said else _OTHER_TLS


def _of_settings(error: Exception, where: Where) -> BackendError:
    source, renew = _source(where)
    match error:
        case boto.NoCredentialsError():
            return NO_CREDENTIALS
        case boto.ProfileNotFound():
            return BackendError(_plain(str(error)), "correct AWS_PROFILE")
        case boto.CredentialRetrievalError() if error.kwargs.get("provider") == "custom-process":
            # It may have printed anything.
            return BackendError("the profile's credential_process fails", "look at what it prints")
        case boto.SSOError() | boto.TokenRetrievalError() | boto.LoginError():
            return BackendError(_plain(str(error)), "run aws sso login, or aws login")
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return BackendError(_plain(str(error)), "look at what gives the credentials")
        case KeyError():  # of an answer with credentials in it
            return BackendError(
                f"what gives the credentials of {source} leaves out {_plain(str(error))}",
                "look at what it answers",
            )
        case EOFError() | boto.RefreshWithMFAUnsupportedError():
            return BackendError(
                "the profile's role asks for a code (mfa_serial), and nobody can be asked here",
                "use a role that asks for none, or keys",
            )
        case RecursionError():  # boto3 asks for the region again, whenever it is sent elsewhere
            return BackendError(
                f"the store at {where.endpoint} sends every request elsewhere",
                "correct the endpoint (https:// in the place of http://, or another host), or the"
                " region",
            )
        case RuntimeError():  # botocore's, of credentials that were renewed, but too old again
            return BackendError(
                f"the credentials of {source} are renewed too late ({_plain(str(error))})", renew
            )
    return BackendError(_plain(str(error)), "correct the settings of AWS")


def _error(
    words: Words, detail: str, kind: type[BackendError] = BackendError, **names: str
) -> BackendError:
    return kind(f"{words.why.format(**names)} ({detail})", words.remedy.format(**names))


def _source(where: Where) -> tuple[str, str]:
    return _SOURCES.get(where.source, _OTHER_SOURCE)


def _headers(error: Exception) -> Mapping[str, str]:
    if not isinstance(error, ClientError):
        return {}
    headers: Mapping[str, str] = error.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers


def _skew(error: ClientError) -> str:
    """How far the clocks are apart, as far as the answer tells."""
    try:
        there = email.utils.parsedate_to_datetime(_headers(error)["date"])
        skew = abs(dt.datetime.now(dt.UTC) - there)
    except (KeyError, TypeError, ValueError):
        return "too far"
    return str(dt.timedelta(seconds=round(skew.total_seconds())))  # as 0:20:03


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what lies under it, as boto3, urllib3 and Python keep it."""
    seen: list[BaseException] = []
    while error is not None and error not in seen:
        yield error
        seen.append(error)
        known = getattr(error, "kwargs", None)
        under = (
            known.get("error") if isinstance(known, dict) else None,
            *error.args,
            error.__cause__,
            error.__context__,
        )
        error = next((one for one in under if isinstance(one, BaseException)), None)


def _host(url: str) -> str:
    """Host and port of a URL, which may have a password, or be none."""
    return without_user(url).partition("://")[2] or "the store"


def without_user(url: str) -> str:
    """Scheme, host and port of a URL."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{place}" if rest else ""


def _plain(*texts: str) -> str:
    """What others say, on one line, without markup and a full stop."""
    line = ", ".join(" ".join(text.split()) for text in texts if text.strip())
    return line.replace("<", "").replace(">", "").rstrip(".")[:LONGEST]
