"""Why a request to S3 failed, and what helps, for people.

boto3 distinguishes failures well; this module adds the remedy. No message contains a secret: it
names only the hosts of proxies and endpoints, and leaves out what a program that provides
credentials has printed.
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

# What a request, or the creation of its client, may raise: boto3's own errors, and those of its
# libraries.
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

# The error codes for expired credentials.
EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"}

# How many characters of another system's message are passed on.
LONGEST = 300


class AnswerWithoutReasonError(BackendError):
    """The request was refused with a status and no reason."""


@dataclass(frozen=True)
class Where:
    """What was asked. If there was no client yet, everything but the bucket is empty.

    `source` is where the credentials come from, by boto3's name.
    """

    bucket: str
    endpoint: str = ""
    region: str = ""
    source: str = ""


@dataclass(frozen=True)
class Words:
    """Why, and what to do, each as part of a sentence; names in braces are filled in."""

    why: str
    remedy: str


NO_CREDENTIALS = BackendError(
    "no AWS credentials were found",
    "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or give this machine a role",
)

# Where credentials come from, and what to do when they are no longer valid.
_SOURCES = {
    "config-file": ("the profile", "put new ones into the AWS config file"),
    "container-role": (
        "the container's role",
        "check what provides them, and this machine's clock",
    ),
    "custom-process": ("the profile's credential_process", "check what that program prints"),
    "env": (
        "the environment",
        "put new ones into AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN",
    ),
    "iam-role": ("the machine's role", "look at what gives them, and at the clock here"),
    "login": ("aws login", "run aws login"),
    "shared-credentials-file": ("the credentials file", "put new ones there"),
    "sso": ("the SSO session", "run aws sso login"),
}
_OTHER_SOURCE = ("the profile's role", "check that role, and this machine's clock")

_ACTIONS = {
    "GetObject": "s3:GetObject",
    "HeadObject": "s3:GetObject",
    "ListObjectsV2": "s3:ListBucket",
    "PutObject": "s3:PutObject",
}

_ALLOW = (
    "give the credentials of {source} s3:PutObject, s3:GetObject and s3:ListBucket on the bucket,"
    " and look for a bucket policy that denies them"
)
_BUSY = Words("{store} is throttling requests", "nothing is lost: wait a while")
_BROKEN = Words(
    "{store} has failed",
    "nothing is lost: wait a while, and check the store's health, its disk and its log",
)
_CHANGED = Words("what arrived is not what was sent", "look for a proxy that changes requests")
_CLOCK = Words("this machine's clock is {skew} off that of {store}", "synchronize it by NTP")
_DENIED = Words("{store} denies {action}", _ALLOW)
_EXPIRED = Words("the credentials of {source} have expired", "{renew}")
_FULL = Words("{store} is full", "make room")
_NO_KMS = Words(
    "the bucket's KMS key cannot be used",
    "enable it, and give the credentials of {source} kms:GenerateDataKey and kms:Decrypt",
)
_REGION = Words(
    "the bucket is in another region than {region}",
    "set AWS_DEFAULT_REGION, or the region of the profile, to the bucket's",
)
_UNABLE = Words(
    "{store} does not support {action} with a condition and a checksum, which the lake needs",
    "use a store, or a version of it, with conditional writes, such as AWS S3",
)
_UNKNOWN_KEY = Words(
    "{store} does not know the access key of {source}",
    "correct the key, or the endpoint: each store has its own keys",
)

_CODES = {
    "AccessDenied": _DENIED,
    "AccountProblem": _DENIED,
    "AllAccessDisabled": _DENIED,
    "AuthorizationHeaderMalformed": _REGION,
    "BadDigest": _CHANGED,
    "EntityTooLarge": Words("{store} accepts no object of that size", "lower TOTESYS_PART_BYTES"),
    "ExpiredToken": _EXPIRED,
    "ExpiredTokenException": _EXPIRED,
    "IllegalLocationConstraintException": _REGION,
    "InsufficientStorage": _FULL,
    "InternalError": _BROKEN,
    "InvalidAccessKeyId": _UNKNOWN_KEY,
    "InvalidBucketName": Words("{bucket} is not a valid bucket name", "correct it"),
    "InvalidClientTokenId": _UNKNOWN_KEY,
    "InvalidDigest": _CHANGED,
    "InvalidObjectState": Words("the object was moved to an archive tier", "restore it"),
    "InvalidToken": Words("{store} does not know the session token of {source}", "{renew}"),
    "KeyTooLongError": Words("the key of the object is too long", "choose a shorter prefix"),
    "MethodNotAllowed": _UNABLE,
    "NoSuchBucket": Words(
        "{store} has no bucket {bucket}",
        "create it, or correct its name, the region or the endpoint",
    ),
    "NotImplemented": _UNABLE,
    "PermanentRedirect": _REGION,
    "QuotaExceeded": _FULL,
    "RequestExpired": _CLOCK,
    "RequestTimeTooSkewed": _CLOCK,
    "RequestTimeout": Words("the object arrived too slowly", "check the network"),
    "ServiceUnavailable": _BUSY,
    "SignatureDoesNotMatch": Words(
        "the secret key of {source} does not match its access key",
        "correct it, or look for a proxy that changes requests",
    ),
    "SlowDown": _BUSY,
    "TemporaryRedirect": _REGION,
    "TokenRefreshRequired": _EXPIRED,
    "TooManyRequests": _BUSY,
    "XAmzContentSHA256Mismatch": _CHANGED,
    "XMinioStorageFull": _FULL,
}

# The same for answers without an error code.
_STATUSES = {
    301: _REGION,
    307: _REGION,
    403: Words("{store}, or a proxy in its place, denies {action}", _ALLOW),
    405: _UNABLE,
    407: Words("a proxy requires a password", "add it to HTTPS_PROXY and HTTP_PROXY"),
    429: _BUSY,
    501: _UNABLE,
    503: _BUSY,
    507: _FULL,
}
_OTHER_ANSWER = Words("{store} refuses {action}", "check its settings and its log")
_NO_S3 = Words(
    "the server at {endpoint} is not S3",
    "correct the endpoint (AWS_ENDPOINT_URL, or endpoint_url of the profile), or remove"
    " the proxy that answers in its place",
)

# Errors below 500 after which the same request may succeed.
_PASSING = {"RequestTimeout", "ConditionalRequestConflict", "OperationAborted", "IncompleteBody"}

_ENDPOINT = "or correct the endpoint (AWS_ENDPOINT_URL, or endpoint_url of the profile)"
_CONNECTION = {
    errno.ECONNREFUSED: Words("nothing listens at {place}", f"start the store, {_ENDPOINT}"),
    errno.EHOSTUNREACH: Words("there is no route to {place}", f"check the network, {_ENDPOINT}"),
    errno.ENETUNREACH: Words("no way leads to {place}", f"look at the network, {_ENDPOINT}"),
    errno.EACCES: Words("this machine forbids connections to {place}", "allow them"),
    errno.EPERM: Words("this machine forbids connections to {place}", "allow them there"),
    errno.EMFILE: Words(
        "this process has too many files and connections open", "raise the limit (ulimit -n)"
    ),
}
_UNKNOWN_NAME = Words("the host name of {place} is unknown", f"check DNS, {_ENDPOINT}")
_SILENT = Words(
    "{place} does not answer", f"check the store, and any firewall in between, {_ENDPOINT}"
)
_HUNG_UP = Words(
    "{place} closed the connection without an answer",
    "check its log and the network; an endpoint with TLS begins with https://",
)

# What OpenSSL says about a certificate → the failure.
_CERTIFICATES = {
    "match": Words(
        "the certificate of {place} is for another name",
        "use the name in the certificate for the endpoint",
    ),
    "expired": Words("the certificate of {place} has expired", "renew it"),
    "not yet valid": Words(
        "the certificate of {place} is not valid yet", "check this machine's clock"
    ),
    "": Words(
        "the certificate of {place} is not signed by an authority that this machine trusts",
        "set AWS_CA_BUNDLE, or ca_bundle of the profile, to a file with that authority's"
        " certificate",
    ),
}
_NO_TLS = Words(
    "{place} does not speak TLS", "correct its port, or write http:// to connect without TLS"
)
_NO_BUNDLE = Words(
    "the file that AWS_CA_BUNDLE, or ca_bundle of the profile, names cannot be read",
    "correct it",
)
_OTHER_TLS = Words("TLS with {place} fails", "check what it requires of clients")


def answer(error: Exception) -> tuple[int, str]:
    """The status and the error code of S3's answer; 0 and "" if there was none."""
    if not isinstance(error, ClientError):
        return 0, ""
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    code = error.response.get("Error", {}).get("Code", "")
    return status, "" if code.isdecimal() else code  # the status again, where there is no body


def is_foreign(error: Exception) -> bool:
    """Whether something else answered in place of S3, which answers in XML."""
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
    """The failure of a server that is not S3; `detail` says how that shows."""
    return _error(_NO_S3, detail, endpoint=where.endpoint)


def _of_answer(error: ClientError, where: Where) -> BackendError:
    status, code = answer(error)
    message = error.response.get("Error", {}).get("Message", "")
    phrase = http.client.responses.get(status, "")
    detail = _plain(code, message) if code else _plain(f"HTTP {status} {phrase}")
    if error.operation_name not in _ACTIONS:
        return BackendError(
            f"{_source(where)[0]} provides no credentials ({error.operation_name}: {detail})",
            "check the profile, and the role's trust policy",
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
            "correct HTTPS_PROXY and HTTP_PROXY, or add the endpoint's host to NO_PROXY",
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
            return BackendError("the profile's credential_process fails", "check what it prints")
        case boto.SSOError() | boto.TokenRetrievalError() | boto.LoginError():
            return BackendError(_plain(str(error)), "run aws sso login, or aws login")
        case boto.CredentialRetrievalError() | boto.MetadataRetrievalError():
            return BackendError(_plain(str(error)), "check what provides the credentials")
        case KeyError():  # of an answer with credentials in it
            return BackendError(
                f"the answer with the credentials of {source} lacks {_plain(str(error))}",
                "check what provides them",
            )
        case EOFError() | boto.RefreshWithMFAUnsupportedError():
            return BackendError(
                "the profile's role asks for a code (mfa_serial), which nobody can enter here",
                "use a role that asks for none, or keys",
            )
        case RecursionError():  # boto3 asks for the region again, whenever it is sent elsewhere
            return BackendError(
                f"the store at {where.endpoint} redirects every request",
                "correct the endpoint (https:// instead of http://, or another host) or the region",
            )
        case RuntimeError():  # botocore's, of credentials that were renewed, but too old again
            return BackendError(
                f"the credentials of {source} were renewed too late ({_plain(str(error))})", renew
            )
    return BackendError(_plain(str(error)), "correct the AWS settings")


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
    """How far apart the clocks are, if the answer says so."""
    try:
        there = email.utils.parsedate_to_datetime(_headers(error)["date"])
        skew = abs(dt.datetime.now(dt.UTC) - there)
    except (KeyError, TypeError, ValueError):
        return "too far"
    return str(dt.timedelta(seconds=round(skew.total_seconds())))  # as 0:20:03


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes, which boto3, urllib3 and Python each record in their own way."""
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
    """Host and port of a URL, which may contain a password, or be empty."""
    return without_user(url).partition("://")[2] or "the store"


def without_user(url: str) -> str:
    """Scheme, host and port of a URL."""
    scheme, _, rest = url.partition("://")
    place = rest.partition("/")[0].rpartition("@")[2]
    return f"{scheme}://{place}" if rest else ""


def _plain(*texts: str) -> str:
    """Another system's message, on one line, without markup or a full stop."""
    line = ", ".join(" ".join(text.split()) for text in texts if text.strip())
    return line.replace("<", "").replace(">", "").rstrip(".")[:LONGEST]
