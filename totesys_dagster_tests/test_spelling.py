"""Settings that are misspelt, and files that would not be read as they were meant."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.settings import SETTINGS, SOURCE_DSN, require_known
from totesys_dagster_tests import warm
from totesys_dagster_tests.landing import by_night

HIDDEN = "hunter2"  # what a message must not show
DSN = f"postgresql://ann:{HIDDEN}@totesys.example.com:5432/totesys"


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Writes a .env and gives its path."""

    def file(*lines: str, encoding: str = "utf-8") -> Path:
        path = tmp_path / ".env"
        path.write_bytes("\n".join([*lines, ""]).encode(encoding))
        return path

    return file


def sentence(environ: dict[str, str], dotenv: Path | None = None) -> str:
    """What is said of an environment, and of the file that is read into it."""
    with pytest.raises(SettingError) as error:
        require_known(environ, dotenv)
    said = str(error.value)
    assert "\n" not in said
    assert said.endswith(".")
    assert HIDDEN not in said
    assert error.value.__cause__ is None or HIDDEN not in str(error.value.__cause__)
    return said


# --- the environment --------------------------------------------------------------------------


def test_every_setting_is_known() -> None:
    require_known(dict.fromkeys(SETTINGS, "x"), None)


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TOTESYS_SOURCE_DNS", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SORUCE_DSN", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCE_DS", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCE_DSNS", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCEDSN", "TOTESYS_SOURCE_DSN"),
        ("TOTESYSSOURCEDSN", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS__SOURCE_DSN", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCE_DSN_", "TOTESYS_SOURCE_DSN"),
        ("_TOTESYS_SOURCE_DSN", "TOTESYS_SOURCE_DSN"),
        ("TOTESY_SOURCE_DSN", "TOTESYS_SOURCE_DSN"),
        ("TOTSEYS_SOURCE_DNS", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS-SOURCE-DSN", "TOTESYS_SOURCE_DSN"),
        ("totesys_source_dsn", "TOTESYS_SOURCE_DSN"),
        ("Totesys_Source_Dns", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_WAREHOUSE_ADMIN_DNS", "TOTESYS_WAREHOUSE_ADMIN_DSN"),
        ("TOTESYS_WAREHOUSE_DNS", "TOTESYS_WAREHOUSE_DSN"),
        ("TOTESYS_INGESTION_URI", "TOTESYS_INGESTION_URL"),
        ("TOTESYS_ALERT_FORM", "TOTESYS_ALERT_FROM"),
        ("TOTESYS_ALERTS_TO", "TOTESYS_ALERT_TO"),
        ("TOTESYS_ALERT_T0PIC", "TOTESYS_ALERT_TOPIC"),
        ("TOTESYS_POLL_SECOND", "TOTESYS_POLL_SECONDS"),
        ("TOTESYS_HOM", "TOTESYS_HOME"),
        ("export TOTESYS_SOURCE_DSN", "TOTESYS_SOURCE_DSN"),
        (" TOTESYS_SOURCE_DSN ", "TOTESYS_SOURCE_DSN"),
    ],
)
def test_misspelt_name_in_the_environment_is_refused(name: str, nearest: str) -> None:
    said = sentence({"PATH": "/bin", name: DSN})

    shown = name if re.fullmatch(r"\w+", name) else "something"
    assert said == (
        f"The environment sets {shown}, which is not a setting and would be ignored: the nearest is"
        f" {nearest}; correct the name, or take it out."
    )


@given(st.sampled_from(SETTINGS), st.data())
def test_two_slips_are_found_wherever_they_are(setting: str, data: st.DataObject) -> None:
    name, before = setting, -9
    for _ in range(2):
        # Not where the slip before was: a slip within a swapped pair counts as three edits.
        places = [at for at in range(len(name) - 1) if abs(at - before) > 2]
        at = before = data.draw(st.sampled_from(places))
        letter = data.draw(st.sampled_from("ABDNORSTUX_0"))
        name = data.draw(
            st.sampled_from(
                [
                    name[:at] + name[at + 1 :],
                    name[:at] + letter + name[at:],
                    name[:at] + letter + name[at + 1 :],
                    name[:at] + name[at + 1] + name[at] + name[at + 2 :],
                ]
            )
        )
    if name in SETTINGS:
        return

    assert "which is not a setting" in sentence({name: "x"})


@pytest.mark.parametrize(
    "environ",
    [
        {"TOTESYS_SERVICE_HOST": "10.0.0.1"},
        {"TOTESYS_SERVICE_PORT": "80"},
        {"TOTESYS_SERVICE_PORT_HTTP": "80"},
        {"TOTESYS_PORT": "tcp://10.0.0.1:80"},
        {"TOTESYS_PORT_80_TCP": "tcp://10.0.0.1:80"},
        {"TOTESYS_PORT_80_TCP_PROTO": "tcp"},
        {"TOTESYS_PORT_80_TCP_PORT": "80"},
        {"TOTESYS_PORT_80_TCP_ADDR": "10.0.0.1"},
        {"TOTESYS_SOURCE_SERVICE_HOST": "10.0.0.1"},
        {"TOTESYS_SOURCE_PORT_5432_TCP_ADDR": "10.0.0.1"},
        {"TOTESYS_SOURCE_DSN_PORT": "udp://10.0.0.1:5432"},
        {"TOTESYS_HOME_PORT": "tcp://10.0.0.1:80"},
        {"TOTESYS_UI_SERVICE_PORT": "3000"},
    ],
    ids=lambda environ: next(iter(environ)),
)
def test_names_that_kubernetes_injects_are_none_of_ours(
    environ: dict[str, str], write: Callable[..., Path]
) -> None:
    require_known(environ, write(*(f"{name}={value}" for name, value in environ.items())))


@pytest.mark.parametrize(
    "name", ["TOTESYS_TEAM", "TOTESYS_RELEASE_OF_THE_WEEK", "SOURCE_DSN", "HOME", "PGHOST", "TOTES"]
)
def test_name_that_is_unlike_any_setting_is_left_to_others(name: str) -> None:
    require_known({name: "x"}, None)


def test_names_that_the_platform_gives_itself_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.EMBEDDED, SOURCE_DSN)

    require_known(os.environ, None)


@pytest.mark.parametrize("name", settings.LOCATIONS)
@pytest.mark.parametrize("value", ["", "  "])
def test_place_that_is_set_to_nothing_is_refused(name: str, value: str) -> None:
    """As where a secret was not filled in: the embedded default must not take its place."""
    assert sentence({name: value}) == (
        f"{name} is set, but empty: give it a value, or unset it for the embedded default."
    )


@pytest.mark.parametrize("name", sorted({*SETTINGS} - {*settings.LOCATIONS}))
def test_other_setting_that_is_empty_counts_as_not_set(name: str) -> None:
    require_known({name: ""}, None)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (f'"{DSN}"', "begins with a quote"),
        (f"'{DSN}'", "begins with a quote"),
        (f"“{DSN}”", "begins with a quote"),
        (f'"{DSN}', "begins with a quote"),
        (f"export {DSN}", "begins with a name"),
        (f"{SOURCE_DSN}={DSN}", "begins with a name"),
        (f"{DSN} # production", "ends with a comment"),
        (f"{DSN} #", "ends with a comment"),
        (f"{DSN}\t# production", "ends with a comment"),
    ],
)
def test_value_that_carries_the_marks_of_a_file_is_refused(value: str, found: str) -> None:
    """Docker's --env-file takes them for a part of the value."""
    assert sentence({SOURCE_DSN: value}) == (
        f"The environment gives {SOURCE_DSN} a value that {found}, which would be taken for a part"
        " of it: take that out."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        (settings.SOURCE_DSN, "host=db.example options='-c a=b#c'"),
        (settings.SOURCE_DSN, "postgresql://ann:a%22b#c@db.example/totesys"),
        (settings.INGESTION_URL, "/srv/my lake #1"),
        (settings.WAREHOUSE_SCHEMA, 'quo"te'),
        (settings.VERIFY_SCHEDULE, "30 3 * * *"),
    ],
)
def test_value_with_the_same_characters_elsewhere_is_left_alone(name: str, value: str) -> None:
    require_known({name: value}, None)


# --- the file .env ----------------------------------------------------------------------------


def test_file_is_read_as_it_is_meant(write: Callable[..., Path]) -> None:
    path = write(
        "# The source",
        f"{SOURCE_DSN}={DSN}",
        f'export {settings.WAREHOUSE_DSN} = "{DSN}#1"  # quoted',
        f"{settings.INGESTION_URL}='/srv/my lake #1'",
        "",
        "AWS_PROFILE=totesys",
        "HOME=/home/somebody",
        "UI=x",
    )

    require_known({}, path)


def test_example_is_read_as_it_is_meant(write: Callable[..., Path]) -> None:
    example = (Path(settings.__file__).parents[1] / ".env.example").read_text()

    require_known({}, write(*re.sub("^#(TOTESYS_)", r"\1", example, flags=re.M).splitlines()))


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("TOTESYS_SOURCE_DNS", "TOTESYS_SOURCE_DSN"),
        ("totesys_source_dsn", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCE_URL", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_SOURCE_PASSWORD", "TOTESYS_SOURCE_DSN"),
        ("TOTESYS_EMBEDDED", "TOTESYS_SOURCE_DSN"),
        ("totesys_lake", "TOTESYS_HOME"),
        ("TOTESYS_SMTP_PORT", "TOTESYS_SMTP_URL"),
        ("SOURCE_DSN", "TOTESYS_SOURCE_DSN"),
        ("source_dsn", "TOTESYS_SOURCE_DSN"),
        ("SOURCE_DNS", "TOTESYS_SOURCE_DSN"),
        ("UI_URL", "TOTESYS_UI_URL"),
        ("ALERT_TO", "TOTESYS_ALERT_TO"),
    ],
)
def test_name_that_is_no_setting_is_refused_in_a_file(
    name: str, nearest: str, write: Callable[..., Path]
) -> None:
    path = write("", "# The source", "", f"{name}=587", f"{SOURCE_DSN}={DSN}")

    said = sentence({}, path)

    assert said.startswith(
        f"Line 4 of {path} sets {name}, which is not a setting and would be ignored: the nearest is"
    )
    assert nearest in said or name == "TOTESYS_EMBEDDED"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (f"{SOURCE_DSN}=", f"gives {SOURCE_DSN} no value"),
        (f"{SOURCE_DSN}=''", f"gives {SOURCE_DSN} no value"),
        (f"{SOURCE_DSN}= # {DSN}", f"gives {SOURCE_DSN} no value"),
        (SOURCE_DSN, f"gives {SOURCE_DSN} no value"),
        ("TOTESYS_ALERT_TO=", "gives TOTESYS_ALERT_TO no value"),
        (f"{SOURCE_DSN} {DSN}", "cannot be read"),
        (f'{SOURCE_DSN}="{DSN}', "cannot be read"),
        (f'{SOURCE_DSN}="{DSN}"1', "cannot be read"),
        (f"{SOURCE_DSN}: {DSN}", "cannot be read"),
        (f"{SOURCE_DSN}:{DSN}", "sets something, which is not a setting and would be ignored: the"),
        (f"{SOURCE_DSN}:{DSN}?sslmode=require", "sets something, which is not a setting"),
        (f"{SOURCE_DSN}=“{DSN}”", "a value that begins with a quote"),
        (f"{SOURCE_DSN}=export {DSN}", "a value that begins with a name"),
        (f"{SOURCE_DSN}={SOURCE_DSN}={DSN}", "a value that begins with a name"),
        (f"{SOURCE_DSN}={DSN} # production", "has a comment after the value"),
        ("TOTESYS_INGESTION_URL=/srv/my lake #1", "has a comment after the value"),
    ],
)
def test_line_that_is_not_read_as_it_is_meant_is_refused(
    line: str, said: str, write: Callable[..., Path]
) -> None:
    path = write("# The source", line)

    assert sentence({}, path).startswith(f"Line 2 of {path} {'' if 'value that' in said else said}")
    assert said in sentence({}, path)


def test_two_lines_for_one_name_are_refused(write: Callable[..., Path]) -> None:
    path = write(f"{SOURCE_DSN}={DSN}", "", f"{SOURCE_DSN}={DSN}2")

    assert sentence({}, path) == (
        f"Line 3 of {path} sets {SOURCE_DSN} once more, after line 1: take one of the two out."
    )


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32"])
def test_file_in_another_encoding_is_refused(encoding: str, write: Callable[..., Path]) -> None:
    path = write(f"{SOURCE_DSN}={DSN}", encoding=encoding)

    assert sentence({}, path) == f"{path} is not encoded in UTF-8: put it right, or remove it."


def test_file_with_text_in_latin_1_is_refused(write: Callable[..., Path]) -> None:
    path = write("# für die Quelle", encoding="latin-1")

    assert "is not encoded in UTF-8" in sentence({}, path)


def test_byte_order_mark_hides_no_setting(write: Callable[..., Path]) -> None:
    """Whether it is read over or makes another name depends on the release of python-dotenv."""
    path = write(f"{SOURCE_DSN}={DSN}", encoding="utf-8-sig")
    code = (
        f"import dotenv, os; dotenv.load_dotenv({str(path)!r}); print(os.environ[{SOURCE_DSN!r}])"
    )

    require_known({}, path)

    read = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert read.stdout.strip() == DSN


def test_directory_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    """Docker makes one where a file that it is to mount does not exist."""
    path = tmp_path / ".env"
    path.mkdir()

    assert sentence({}, path) == (
        f"{path} cannot be read (Is a directory): put it right, or remove it."
    )


def test_link_to_nothing_is_refused(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.symlink_to(tmp_path / "elsewhere")

    assert "is a link to a file that does not exist" in sentence({}, path)


def test_no_file_is_no_matter(tmp_path: Path) -> None:
    require_known({}, tmp_path / ".env")


def test_file_of_a_directory_above_is_not_passed_over(
    write: Callable[..., Path], tmp_path: Path
) -> None:
    above = write(f"{SOURCE_DSN}={DSN}")
    here = tmp_path / "docs" / "notes"

    assert sentence({}, here / ".env") == (
        f"{above} sets {SOURCE_DSN}, but is not read: .env is read in the directory in which a"
        f" program is started, here {here}; start it in the other one."
    )


def test_file_of_the_instance_is_not_passed_over(
    write: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    home = write(f"{SOURCE_DSN}={DSN}").parent
    here = tmp_path_factory.mktemp("here")

    assert f"{home / '.env'} sets {SOURCE_DSN}" in sentence(
        {"DAGSTER_HOME": str(home)}, here / ".env"
    )


@pytest.mark.parametrize("line", [f"{SOURCE_DSN}={DSN}", "AWS_PROFILE=totesys", "# nothing", "'"])
def test_file_above_that_says_nothing_new_is_passed_over(
    line: str, write: Callable[..., Path], tmp_path: Path
) -> None:
    write(line)

    require_known({SOURCE_DSN: DSN}, tmp_path / "docs" / ".env")


# --- where it is asked ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "module",
    by_night(["totesys_dagster.definitions", "totesys_dagster.local.definitions"], but=[0]),
)
@pytest.mark.parametrize("in_file", [True, pytest.param(False, marks=pytest.mark.long)])
def test_nothing_is_loaded_beside_a_misspelt_setting(
    module: str, in_file: bool, write: Callable[..., Path], tmp_path: Path
) -> None:
    """Dagster's servers load these modules; no embedded server is started before they fail."""
    write("TOTESYS_SOURCE_DNS=x" if in_file else "")
    environ = os.environ if in_file else {**os.environ, "TOTESYS_SOURCE_DNS": DSN}

    done = warm.run(f"import {module}", cwd=tmp_path, env=environ)

    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert "sets TOTESYS_SOURCE_DNS, which is not a setting and would be ignored" in last
    assert HIDDEN not in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == [".env"]
