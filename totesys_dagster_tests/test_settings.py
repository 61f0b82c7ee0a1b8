"""Every setting: its default, what it accepts, and the one sentence that a wrong value gives."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from totesys_dagster import settings, zone_urls
from totesys_dagster.alerting import recipients
from totesys_dagster.errors import SettingError


class Number(NamedTuple):
    setting: str
    read: Callable[[], int]
    default: int
    minimum: int


NUMBERS = [
    Number(settings.POLL_SECONDS, settings.poll_seconds, default=5, minimum=1),
    Number(settings.FRESHNESS_MINUTES, settings.freshness_minutes, default=15, minimum=1),
    Number(settings.LOAD_EVERY_SECONDS, settings.load_every_seconds, default=0, minimum=0),
    Number(settings.PART_BYTES, settings.part_bytes, default=4 * 1024 * 1024, minimum=4096),
    Number(settings.ROW_BYTES, settings.row_bytes, default=16 * 1024**2, minimum=4 * 1024**2),
    Number(settings.PROCESS_AT_ONCE, settings.process_at_once, default=10, minimum=1),
    Number(settings.LISTED_BATCHES, settings.listed_batches, default=10_000, minimum=1),
    Number(settings.HISTORY_DAYS, settings.history_days, default=14, minimum=1),
    Number(settings.QUARANTINE_LIMIT, settings.quarantine_limit, default=100, minimum=0),
]
ZONES = [settings.INGESTION_URL, settings.PROCESSED_URL]
DATABASES = [
    settings.SOURCE_DSN,
    settings.WAREHOUSE_DSN,
    settings.WAREHOUSE_ADMIN_DSN,
    settings.WAREHOUSE_READER_DSN,
]
SECRET = "hunter"  # what every password here holds


def message_of(read: Callable[[], object]) -> str:
    """The sentence that reading a setting fails with."""
    with pytest.raises(SettingError) as error:
        read()
    message = str(error.value)
    assert "\n" not in message
    assert message.endswith(".")
    return message


def everything_shown(read: Callable[[], object]) -> str:
    """All that a log would show of the failure: the error and those that it came from."""
    with pytest.raises(SettingError) as error:
        read()
    return "".join(traceback.format_exception(error.value))


ROOT = Path(settings.__file__).parents[1]


def test_every_setting_is_listed_once() -> None:
    """So that its name is known to whoever looks for misspelt ones."""
    named = [value for value in vars(settings).values() if str(value).startswith("TOTESYS_")]

    assert sorted(settings.SETTINGS) == sorted(set(named) - {settings.EMBEDDED})


def test_every_setting_is_in_the_table_of_the_readme() -> None:
    table = (ROOT / "README.md").read_text().partition("| Setting |")[2].partition("\n\n")[0]
    first_cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]

    assert sorted(re.findall(r"`(TOTESYS_\w+)`", "".join(first_cells))) == sorted(settings.SETTINGS)


def test_every_setting_is_in_the_example_of_a_file() -> None:
    example = (ROOT / ".env.example").read_text()

    assert sorted(re.findall(r"^#?(TOTESYS_\w+)=", example, re.M)) == sorted(
        {*settings.SETTINGS} - {settings.POSTGRES_BIN}  # no file may name programs
    )


def test_no_other_setting_is_named_anywhere() -> None:
    folders = ["totesys_dagster", "deploy", "terraform", "docs", "benchmarks", ".github", ".ci"]
    files = [
        path
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    ]
    files += [path for path in ROOT.iterdir() if path.suffix in (".md", ".yaml", ".toml")]
    files += [ROOT / "Dockerfile", ROOT / "Makefile"]
    named = {
        name
        for path in files
        for name in re.findall(r"\bTOTESYS_[A-Z_]*[A-Z]", path.read_text(errors="ignore"))
    }

    assert named - {settings.EMBEDDED} == set(settings.SETTINGS)


@pytest.mark.parametrize(
    ("dsn", "place"),
    [
        ("postgresql://ann:hunter2@db.example:6543/shop", "db.example:6543, database shop"),
        ("postgresql://ann:hunter2@db.example/shop", "db.example:5432, database shop"),
        ("host=db.example password=hunter2 dbname=shop", "db.example:5432, database shop"),
        ("host=db.example hostaddr=10.0.0.1 dbname=shop", "db.example:5432, database shop"),
        ("hostaddr=10.0.0.1 dbname=shop", "10.0.0.1:5432, database shop"),
        ("postgresql://ann@db.example", "db.example:5432, database ann"),
        ("postgresql://[::1]:6543/shop", "[::1]:6543, database shop"),
        ("postgresql://a,b:6543/shop", "a:5432 or b:6543, database shop"),
        ("host=a,b port=6543 dbname=shop", "a:6543 or b:6543, database shop"),
        ("host=/run/postgresql dbname=shop", "/run/postgresql:5432, database shop"),
        ("dbname=shop", "this machine:5432, database shop"),
        ("service=shop password=hunter2", "the service shop of libpq"),
    ],
)
def test_source_is_described_without_secrets(
    dsn: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGSERVICE", "PGUSER"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(settings.SOURCE_DSN, dsn)

    assert settings.describe_source() == f"ToteSys at {place}"


def test_source_is_described_with_what_libpq_adds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "db.example")
    monkeypatch.setenv("PGDATABASE", "shop")
    monkeypatch.setenv(settings.SOURCE_DSN, "user=ann")

    assert settings.describe_source() == "ToteSys at db.example:5432, database shop"


def test_source_that_is_invented_is_said_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, "host=127.0.0.1 password=hunter2")
    monkeypatch.setenv(settings.EMBEDDED, f"{settings.SOURCE_DSN} {settings.WAREHOUSE_DSN}")

    assert settings.describe_source() == (
        "the embedded ToteSys with simulated business (nothing real: TOTESYS_SOURCE_DSN is not set)"
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_number_that_is_not_set_has_its_default(number: Number) -> None:
    assert number.read() == number.default


@pytest.mark.parametrize("number", NUMBERS)
def test_empty_number_counts_as_not_set(number: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(number.setting, "  ")

    assert number.read() == number.default


@pytest.mark.parametrize("number", NUMBERS)
def test_number_may_be_its_minimum(number: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(number.setting, f" {number.minimum} ")

    assert number.read() == number.minimum


def test_row_bytes_have_a_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ROW_BYTES, str(128 * 1024**2 + 1))

    assert message_of(settings.row_bytes) == (
        "TOTESYS_ROW_BYTES is '134217729', but must be at most 134217728."
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_number_below_its_minimum_is_named(number: Number, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(number.setting, str(number.minimum - 1))

    assert message_of(number.read) == (
        f"{number.setting} is '{number.minimum - 1}', but must be a whole number of at least"
        f" {number.minimum}."
    )


@pytest.mark.parametrize("number", NUMBERS)
def test_commands_refuse_a_number_before_they_do_anything(
    number: Number, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(number.setting, "many")

    with pytest.raises(SettingError, match=number.setting):
        settings.require_usable()


@pytest.mark.parametrize("text", ["five", "1.5", "1e3", "5 s", "-", "0x10"])
@pytest.mark.parametrize("number", NUMBERS)
def test_text_that_is_no_number_is_named(
    number: Number, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(number.setting, text)

    assert message_of(number.read) == (
        f"{number.setting} is '{text}', but must be a whole number of at least {number.minimum}."
    )


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize(
    "value",
    [
        "postgresql://totesys:s3cr%3At@db.example:5432/totesys",
        "postgresql://totesys:what?now@db.example/totesys",
        "postgres://db.example/totesys?sslmode=require",
        "postgresql://db.example/totesys?user=me@server",
        "host=db.example dbname=totesys password='a b'",
    ],
)
def test_connection_string_is_given_back_as_it_is(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert settings.connection_string(name) == value


@pytest.mark.parametrize("name", [*DATABASES, *ZONES])
@pytest.mark.parametrize("value", [None, "", "   "])
def test_place_that_is_not_set_is_named_with_the_remedy(
    name: str, value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(name, value)
    read = settings.connection_string if name in DATABASES else zone_urls.zone_url

    message = message_of(lambda: read(name))

    assert message.startswith(f"{name} is not set: set it as README.md describes")


@pytest.mark.parametrize("name", DATABASES)
@pytest.mark.parametrize(
    "value",
    [
        "postgresql://totesys:hunter%2@db.example/totesys",  # a lone percent sign
        "postgresql://totesys:my@hunter2@db.example/totesys",
        "postgresql://totesys:54/hunter2@db.example/totesys",
        "postgres://totesys:54?my@hunter2@db.example/totesys",
        "postgresql://totesys:hunter2@[db.example/totesys",
        "postgresql://totesys:hunter2@db.example/totesys?no_such_option=1",
        "host=db.example password='hunter2",
        "hunter2",
    ],
)
def test_malformed_connection_string_is_named_without_its_password(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    message = message_of(lambda: settings.connection_string(name))

    assert message.startswith(f"{name} is not a PostgreSQL connection string: write it as")
    assert SECRET not in everything_shown(lambda: settings.connection_string(name))


@pytest.mark.parametrize("value", [None, " "])
def test_loader_is_the_admin_of_the_warehouse_unless_there_is_another(
    value: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    if value is not None:
        monkeypatch.setenv(settings.WAREHOUSE_ADMIN_DSN, value)

    assert settings.admin_setting() == settings.WAREHOUSE_DSN


def test_admin_of_the_warehouse_can_be_another_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_ADMIN_DSN, "postgresql://owner@db.example/warehouse")

    assert settings.admin_setting() == settings.WAREHOUSE_ADMIN_DSN


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("s3://totesys-lake", "s3://totesys-lake"),
        ("s3://totesys-lake/ingestion/", "s3://totesys-lake/ingestion"),
        ("/srv/lake", "file:///srv/lake"),
        ("/srv/my lake #1", "file:///srv/my%20lake%20%231"),
        ("/srv/100%25", "file:///srv/100%2525"),
        ("file:///srv/lake", "file:///srv/lake"),
        ("file:///srv/my%20lake", "file:///srv/my%20lake"),
        ("file://localhost/srv/lake", "file:///srv/lake"),
    ],
)
def test_zone_is_a_directory_or_a_place_in_a_bucket(
    name: str, value: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    assert zone_urls.zone_url(name) == url


def test_relative_zone_is_taken_from_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(settings.INGESTION_URL, "lake/ingestion")

    assert zone_urls.zone_url(settings.INGESTION_URL) == (tmp_path / "lake/ingestion").as_uri()


def test_zone_may_start_at_the_home_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(settings.INGESTION_URL, "~/lake")

    assert zone_urls.zone_url(settings.INGESTION_URL) == (tmp_path / "lake").as_uri()


@pytest.mark.parametrize("name", ZONES)
@pytest.mark.parametrize(
    "value",
    [
        "s3://",
        "s3:///ingestion",
        "s3:bucket/ingestion",
        "s3://[bucket/ingestion",
        "s3://key:hunter2@bucket/ingestion",
        "gs://bucket/ingestion",
        "https://bucket.s3.amazonaws.com/ingestion",
        "postgresql://totesys:hunter2@db.example/totesys",
        "file://srv/lake",
        "~nobody-of-that-name/lake",
    ],
)
def test_wrong_zone_is_named_without_what_may_be_a_secret(
    name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)

    message = message_of(lambda: zone_urls.zone_url(name))

    assert message.startswith(f"{name} ")
    assert SECRET not in everything_shown(lambda: zone_urls.zone_url(name))


def test_warehouse_schema_has_a_default() -> None:
    assert settings.warehouse_schema() == "warehouse"


@pytest.mark.parametrize("value", ["sales", "Mixed Case", 'quo"te', "w" * 51, "ü" * 25])
def test_warehouse_schema_may_have_any_name_that_leaves_room(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_SCHEMA, value)

    assert settings.warehouse_schema() == value


@pytest.mark.parametrize("value", ["w" * 52, "ü" * 26, "pg_warehouse", "50% off", "%s", "\udcff"])
def test_wrong_warehouse_schema_is_named(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_SCHEMA, value)

    assert message_of(settings.warehouse_schema) == (
        f"{settings.WAREHOUSE_SCHEMA} is {value!r}, but must be a name of at most 51 bytes that"
        " does not start with pg_ and has no per cent sign."
    )


def test_home_is_a_hidden_directory_by_default(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    assert settings.home() == tmp_path / ".totesys"


def test_home_of_an_unknown_user_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.HOME, "~nobody-of-that-name/totesys")

    assert message_of(settings.home).startswith(f"{settings.HOME} is '~nobody-of-that-name")


def test_no_remote_host_is_trusted_by_default() -> None:
    assert not settings.is_trusted("db.internal")
    assert not settings.is_trusted("")


def test_trusted_hosts_are_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.TRUSTED_HOSTS, " DB.internal, 10.0.0.7,,")

    assert settings.is_trusted("db.Internal")
    assert settings.is_trusted("10.0.0.7")
    assert not settings.is_trusted("10.0.0.70")
    assert not settings.is_trusted("")


def mail_settings(
    monkeypatch: pytest.MonkeyPatch,
    url: str = "smtps://totesys:hunter2@mail.example",
    sender: str = "totesys@example.com",
    recipients: str = "ops@example.com",
) -> None:
    monkeypatch.setenv(settings.SMTP_URL, url)
    monkeypatch.setenv(settings.ALERT_FROM, sender)
    monkeypatch.setenv(settings.ALERT_TO, recipients)


def test_no_mail_is_sent_when_nothing_about_it_is_set() -> None:
    assert recipients.mail() is None


def test_mail_has_all_that_its_url_says(monkeypatch: pytest.MonkeyPatch) -> None:
    mail_settings(monkeypatch, url="smtps://to%40te:h%2Fu%3An@mail.example:2465")

    assert recipients.mail() == recipients.Mail(
        host="mail.example",
        port=2465,
        encrypted=True,
        user="to@te",
        password="h/u:n",
        sender="totesys@example.com",
        recipients=("ops@example.com",),
    )


@pytest.mark.parametrize(
    ("url", "port", "encrypted"),
    [("smtp://mail.example", 587, False), ("smtps://mail.example/", 465, True)],
)
def test_mail_port_follows_the_scheme(
    url: str, port: int, encrypted: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_settings(monkeypatch, url=url)

    mail = recipients.mail()

    assert mail is not None
    assert (mail.port, mail.encrypted, mail.user, mail.password) == (port, encrypted, None, None)


def test_mail_goes_to_every_recipient(monkeypatch: pytest.MonkeyPatch) -> None:
    mail_settings(monkeypatch, recipients="ops@example.com, boss@example.com,")

    mail = recipients.mail()

    assert mail is not None
    assert mail.recipients == ("ops@example.com", "boss@example.com")


def test_mail_keeps_its_password_out_of_its_repr(monkeypatch: pytest.MonkeyPatch) -> None:
    mail_settings(monkeypatch)

    assert repr(recipients.mail()) == "Mail(mail.example:465 to ops@example.com)"


@pytest.mark.parametrize("name", [settings.SMTP_URL, settings.ALERT_FROM, settings.ALERT_TO])
def test_mail_needs_all_of_its_settings(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mail_settings(monkeypatch)
    monkeypatch.delenv(name)

    assert message_of(recipients.mail).startswith(f"{name} is not set")


def test_mail_without_a_single_recipient_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    mail_settings(monkeypatch, recipients=" , ")

    assert message_of(recipients.mail).startswith(f"{settings.ALERT_TO} ")


@pytest.mark.parametrize(
    "url",
    [
        "mail.example:587",
        "http://totesys:hunter2@mail.example",
        "smtp://",
        "smtps://totesys:hunter2@",
        "smtps://totesys:hunter2@mail.example:0",
        "smtps://totesys:hunter2@mail.example:70000",
        "smtps://totesys:hunter2@mail.example:smtp",
        "smtps://totesys:hunter2@[mail.example:465",
        "smtps://totesys:[hunter2]@mail.example:465",  # not percent-encoded, as the next ones
        "smtps://totesys:hunter2/@mail.example:465",
        "smtps://totesys:25/hunter2@mail.example:465",
        "smtps://totesys:25#hunter2@mail.example:465",
        "smtps://totesys:25?hunter2@mail.example:465",
    ],
)
def test_wrong_mail_server_is_named_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mail_settings(monkeypatch, url=url)

    assert message_of(recipients.mail).startswith(
        f"{settings.SMTP_URL} is not a mail server: write"
    )
    assert SECRET not in everything_shown(recipients.mail)


def test_nothing_is_published_or_linked_when_it_is_not_set() -> None:
    assert recipients.alert_topic() is None
    assert recipients.ui_url() is None


def test_topic_says_its_region(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:sns:eu-west-2:123456789012:alerts"
    monkeypatch.setenv(settings.ALERT_TOPIC, arn)

    assert recipients.alert_topic() == recipients.Topic(arn, "eu-west-2")


@pytest.mark.parametrize(
    "arn",
    [
        "alerts",
        "arn:aws:sqs:eu-west-2:123456789012:alerts",
        "arn:aws:sns::123456789012:alerts",
        "arn:aws:sns:eu-west-2:123456789012:alerts:subscription",
        "https://hunter2@sns.eu-west-2.amazonaws.com",
    ],
)
def test_wrong_topic_is_named(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ALERT_TOPIC, arn)

    assert message_of(recipients.alert_topic).startswith(
        f"{settings.ALERT_TOPIC} is not the ARN of"
    )
    assert SECRET not in everything_shown(recipients.alert_topic)


def test_address_of_the_ui_may_end_in_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.UI_URL, "https://dagster.example.com/prod/")

    assert recipients.ui_url() == "https://dagster.example.com/prod"


@pytest.mark.parametrize(
    "url", ["dagster.example.com", "https://", "https://ann:hunter2@example.com", "https://[x"]
)
def test_wrong_address_of_the_ui_is_named(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.UI_URL, url)

    assert message_of(recipients.ui_url).startswith(f"{settings.UI_URL} is not the address of")
    assert SECRET not in everything_shown(recipients.ui_url)
