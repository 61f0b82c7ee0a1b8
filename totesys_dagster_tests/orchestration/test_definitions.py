"""What Dagster knows: 33 tables, the lake, the page, the overview and the reports, and what of them
the UI shows."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

import totesys_dagster
from totesys_dagster import code_links, settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.errors import SettingError
from totesys_dagster.ingestion.assets import CaptureConfig
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import asset_key
from totesys_dagster.warehouse.reports import all_reports, declared
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.orchestra import Orchestra, materialized
from totesys_dagster_tests.processes import imported_with

SPECS = {spec.key: spec for spec in sorted(defs.resolve_all_asset_specs(), key=lambda s: s.key)}
FEEDS = {key for key, spec in SPECS.items() if spec.tags.get("kind") == "feed"}
REPORTS = {key for key, spec in SPECS.items() if spec.tags.get("kind") == "report"}
LOG, PAGE = asset_key("lake", "log"), asset_key("reports", "page")
HEARTBEAT = asset_key("overview", "heartbeat")
OTHERS = {LOG, PAGE, HEARTBEAT, *REPORTS, *FEEDS}
TABLES = [key for key in SPECS if key not in OTHERS]


def materialization(event: dg.DagsterEvent) -> dg.AssetMaterialization:
    return event.step_materialization_data.materialization


def spec(zone: str, table: str) -> dg.AssetSpec:
    return SPECS[asset_key(zone, table)]


def test_there_are_33_tables_in_three_groups_the_lake_the_overview_and_the_page() -> None:
    assert {key.to_user_string() for key in SPECS if key not in FEEDS | REPORTS} == {
        *(f"ingestion/{name}" for name in SOURCE_TABLES),
        *(f"processed/{name}" for name in STAR_TABLES),
        *(f"warehouse/{name}" for name in STAR_TABLES),
        "lake/log",
        "overview/heartbeat",
        "reports/page",
    }
    assert all(spec.group_name == spec.key.path[0] for spec in SPECS.values())


def test_feed_has_an_asset_in_each_zone() -> None:
    assert {key.to_user_string() for key in FEEDS} == {
        "ingestion/exchange_rate",
        "ingestion/exchange_rate_history",
        "processed/exchange_rate",
        "warehouse/fact_exchange_rate",
        "ingestion/sales_target",
        "processed/sales_target",
        "warehouse/fact_sales_target",
    }


@pytest.mark.parametrize("key", sorted(FEEDS), ids=lambda key: key.to_user_string())
def test_every_asset_of_a_feed_says_what_it_is(key: dg.AssetKey) -> None:
    one = SPECS[key]

    assert one.description
    assert one.owners == ["team:data-engineering"]
    assert one.kinds
    assert one.tags["zone"] == key.path[0]
    if key == asset_key("ingestion", "exchange_rate"):  # a person can ask for a day, or for many
        assert isinstance(one.partitions_def, dg.DailyPartitionsDefinition)
    else:
        assert one.partitions_def is None
    if key.path[1].startswith("exchange_rate") and key.path[0] == "ingestion":  # bodies, no rows
        return
    assert one.metadata["dagster/table_name"]
    assert all(column.description for column in one.metadata["dagster/column_schema"].columns)


@pytest.mark.parametrize("job", ["capture", "process", "load_warehouse", "batch"])
def test_jobs_of_batches_take_no_feed(job: str) -> None:
    selected = defs.resolve_job_def(job).asset_layer.selected_asset_keys
    assert not selected & FEEDS


@pytest.mark.parametrize("star", STAR_TABLES)
def test_lineage_goes_from_table_to_table(star: str) -> None:
    upstream = {dep.asset_key.to_user_string() for dep in spec("processed", star).deps}

    if star == "dim_date":
        assert upstream == {f"processed/{fact}" for fact in STAR_TABLES if fact[:5] == "fact_"}
    else:
        assert upstream == {f"ingestion/{name}" for name in STAR_TABLES[star].sources}
    assert [dep.asset_key for dep in spec("warehouse", star).deps] == [asset_key("processed", star)]


def test_lake_is_made_by_the_raw_and_the_processed_tables() -> None:
    deps = {dep.asset_key for dep in spec("lake", "log").deps}

    assert deps == {key for key in TABLES if key.path[0] in ("ingestion", "processed")}


def test_page_is_made_of_the_warehouse() -> None:
    deps = {dep.asset_key for dep in spec("reports", "page").deps}

    assert deps == {key for key in TABLES if key.path[0] == "warehouse"}


def test_every_report_of_the_warehouse_is_an_asset() -> None:
    assert {key.path[-1] for key in REPORTS} == {report.name for report in declared()}


@pytest.mark.parametrize("key", sorted(REPORTS), ids=lambda key: key.path[-1])
def test_report_says_what_it_answers_and_reads(key: dg.AssetKey) -> None:
    one, report = SPECS[key], all_reports()[key.path[-1]]

    for term in ("Question", "Unit", "Grain", "Trap"):
        assert report.terms[term] in str(one.description)
    assert f"FROM reports.{report.name}" in str(one.description)
    assert one.owners == ["team:data-engineering"]
    columns = one.metadata["dagster/column_schema"].columns
    assert [(c.name, c.type) for c in columns] == [(c.name, c.type) for c in report.columns]
    assert all(column.description for column in columns)
    # Whatever is no table of the ledger has an asset, and is upstream.
    read = [name for name in report.relations if not name.startswith("ledger_")]
    assert {dep.asset_key for dep in one.deps} <= {*SPECS}
    assert len(one.deps) == len(
        {name.removeprefix("current_").removeprefix("history_") for name in read}
    )


@pytest.mark.parametrize("key", [LOG, PAGE, HEARTBEAT], ids=lambda key: key.to_user_string())
def test_lake_page_and_heartbeat_say_what_they_are(key: dg.AssetKey) -> None:
    one = SPECS[key]

    assert one.description
    assert one.owners == ["team:data-engineering"]
    assert one.partitions_def is None


@pytest.mark.parametrize("key", TABLES, ids=lambda key: key.to_user_string())
def test_every_table_says_what_it_is(key: dg.AssetKey) -> None:
    one = SPECS[key]

    assert one.description
    assert one.owners == ["team:data-engineering"]
    assert one.kinds
    assert one.tags["zone"] == key.path[0]
    if key.path[0] == "warehouse":  # one thing kept current
        assert one.partitions_def is None
    else:
        assert isinstance(one.partitions_def, dg.DynamicPartitionsDefinition)
    assert one.metadata["dagster/table_name"]
    assert "dagster/code_references" in one.metadata
    columns = one.metadata["dagster/column_schema"].columns
    assert all(column.description for column in columns)


def test_every_asset_has_a_check() -> None:
    checks = {(key.asset_key, key.name) for key in defs.resolve_asset_graph().asset_check_keys}

    # What is wrong with the history is said with the rates that follow from it.
    assert {key for key, _ in checks} == {*SPECS} - {
        asset_key("ingestion", "exchange_rate_history"),
        *REPORTS,
    }
    assert {(key.path[0], name) for key, name in checks if key in FEEDS} == {
        ("ingestion", "taken"),
        ("ingestion", "quoted"),
        ("processed", "contract"),
        ("processed", "sources"),
        ("warehouse", "audit"),
        ("warehouse", "listed"),
    }
    assert {(key.path[0], name) for key, name in checks if key not in FEEDS} == {
        ("ingestion", "schema"),
        ("processed", "contract"),
        ("warehouse", "audit"),
        ("lake", "verified"),
        ("reports", "countries"),
        ("overview", "equal"),
    }


def test_columns_come_across_joins() -> None:
    lineage = spec("processed", "dim_staff").metadata["dagster/column_lineage"].deps_by_column

    [department] = lineage["department_name"]
    assert department == dg.TableColumnDep(asset_key("ingestion", "department"), "department_name")
    [email] = lineage["email_address"]
    assert email == dg.TableColumnDep(asset_key("ingestion", "staff"), "email_address")


def first_batch(orchestra: Orchestra) -> tuple[dg.ExecuteInProcessResult, list[str]]:
    """The run of the first batch, and all that Dagster has stored of it."""

    def steps(_: Platform) -> tuple[dg.ExecuteInProcessResult, list[str]]:
        [result] = orchestra.tick_and_run("source_changes")
        return result, [str(entry) for entry in orchestra.instance.all_logs(result.run_id)]

    found = orchestra.platform.come_to("first batch by a run", steps)
    orchestra.instance.add_dynamic_partitions("batch", [batch_key(1)])
    return found


def test_preview_shows_no_pii_data(orchestra: Orchestra) -> None:
    result, _ = first_batch(orchestra)
    previews = {
        event.asset_key.path[-1]: str(materialization(event).metadata["preview"].value)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key.path[0] == "processed"
    }

    assert "| 2 | Purchasing | Leds |" in previews["dim_staff"]
    shown = " ".join(previews.values())
    for pii in ("Jeremie", "Beier", "terrifictotes.com", "0803 637401", "31622269"):
        assert pii not in shown


def test_nothing_secret_is_stored_by_dagster(orchestra: Orchestra) -> None:
    _, stored = first_batch(orchestra)

    assert len(stored) > len(STAR_TABLES)
    for entry in stored:
        for password in orchestra.platform.server.passwords.values():
            assert password not in entry


def test_whatever_is_selected_all_tables_are_captured_together(orchestra: Orchestra) -> None:
    orchestra.instance.add_dynamic_partitions("batch", [batch_key(1)])
    result = orchestra.run(
        dg.RunRequest(
            partition_key=batch_key(1), asset_selection=[asset_key("ingestion", "staff")]
        ),
        "capture",
    )

    assert result.success
    assert materialized(result) == {(f"ingestion/{name}", batch_key(1)) for name in SOURCE_TABLES}
    rows = {
        event.asset_key.path[-1]: materialization(event).metadata["dagster/partition_row_count"]
        for event in result.all_events
        if event.is_step_materialization
    }
    assert (rows["staff"].value, rows["payment"].value) == (2, 3)
    assert len(result.get_asset_check_evaluations()) == len(SOURCE_TABLES)


def test_processed_table_loads_as_a_frame(orchestra: Orchestra) -> None:
    """Whoever builds on a star table gets a frame with the catalogue's types."""
    first_batch(orchestra)

    rows = defs.load_asset_value(
        asset_key("processed", "dim_currency"),
        instance=orchestra.instance,
        partition_key=batch_key(1),
    )

    assert rows.to_pylist() == [
        {"currency_id": 1, "currency_code": "GBP", "currency_name": "Pound Sterling"},
        {"currency_id": 2, "currency_code": "USD", "currency_name": "US Dollar"},
        {"currency_id": 3, "currency_code": "EUR", "currency_name": "Euro"},
    ]


def test_pure_modules_do_not_import_dagster() -> None:
    pure = [
        "catalogue",
        "drops.deliver",
        "errors",
        "ingestion.capture",
        "lake.digest",
        "lake.receipt",
        "lake.requests",
        "lake.manifest",
        "operations.rebuild",
        "operations.renew",
        "operations.verify",
        "postgres.sessions",
        "processed.process",
        "settings",
        "warehouse.load",
        "warehouse.status",
        "local.stack",
    ]
    imports = "; ".join(f"import totesys_dagster.{name}" for name in pure)

    done = subprocess.run(
        [sys.executable, "-c", f"{imports}; import sys; sys.exit('dagster' in sys.modules)"],
        check=False,
    )
    assert done.returncode == 0


def test_code_location_does_not_import_what_only_transforms_and_pictures_need() -> None:
    """Each run is a process that imports it; those that capture would wait for nothing."""
    late = {"pandas", "pyarrow.compute", "altair", "vl_convert", "narwhals", "pycountry"}

    assert late & imported_with("totesys_dagster.definitions") == set(), (
        "import it in the function that uses it, or for types alone: see stars/dim_currency.py"
    )


def test_platform_does_not_import_the_local_stack() -> None:
    imported = imported_with("totesys_dagster.definitions")

    assert [name for name in imported if name.startswith("totesys_dagster.local")] == []


def test_insides_of_dagster_are_imported_in_one_module() -> None:
    root = Path(totesys_dagster.__file__).parents[1]
    sources = [*root.glob("totesys_dagster/**/*.py"), *root.glob("deploy/**/*.py")]
    found = {path.name for path in sources if re.search(r"dagster\._", path.read_text())}

    assert found == {"dagster_insides.py"}


def test_every_check_and_job_says_what_to_do_where_docs_have_more() -> None:
    text = (Path(totesys_dagster.__file__).parent.parent / "docs/operations.md").read_text()
    checks = defs.resolve_asset_graph().asset_check_keys
    specs = [defs.resolve_asset_graph().get_check_spec(key).description or "" for key in checks]
    jobs = [job.description or "" for job in _jobs()]

    for said in {*specs, *jobs}:
        [section] = re.findall(r"\*\*When it fails\*\*: .* See \*(.*)\* in `docs/op", said)
        assert f"\n## {section}\n" in text


def test_every_job_says_how_to_launch_it() -> None:
    assert all("**To launch it**: " in (job.description or "") for job in _jobs())


def test_configuration_of_a_capture_is_explained() -> None:
    fields = CaptureConfig.model_fields.values()
    assert all(field.description for field in fields)


def _jobs() -> list[dg.JobDefinition]:
    return [job for job in defs.resolve_all_job_defs() if not job.name.startswith("__")]


@pytest.mark.parametrize("star", STAR_TABLES)
def test_table_of_the_warehouse_says_how_to_ask_it(star: str) -> None:
    said = str(spec("warehouse", star).description)

    assert said.startswith(STAR_TABLES[star].description)
    assert f"FROM warehouse.current_{star}\n" in said
    assert f"(/assets/processed/{star})" in said


@pytest.mark.parametrize("key", [k for k in TABLES if k.path[0] != "warehouse"], ids=str)
def test_table_of_the_lake_says_where_it_is_and_what_missing_means(key: dg.AssetKey) -> None:
    said = str(SPECS[key].description)

    assert f"`rows/{key.path[1]}/" in said
    assert "shows as *missing* here" in said


def test_questions_are_those_of_the_reports_that_read_the_table() -> None:
    said = str(spec("warehouse", "dim_design").description)

    assert "[Which designs has nobody ordered?](/assets/reports/designs_never_sold)" in said
    assert "/assets/reports/overdue" not in said


def test_links_lead_to_git_where_that_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.CODE_URL, "https://git.example.com/blob/1a2b/")
    [linked] = code_links.linked([SPECS[asset_key("reports", "overdue")]])

    assert isinstance(linked, dg.AssetSpec)
    urls = [one.url for one in linked.metadata["dagster/code_references"].code_references]
    path = "totesys_dagster/warehouse/sql/reports/overdue.sql"
    assert urls[0] == f"https://git.example.com/blob/1a2b/{path}#L1"


def test_installed_package_has_no_links(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(code_links, "PACKAGE", tmp_path / "totesys_dagster")
    before = dg.AssetSpec(asset_key("warehouse", "dim_design"))

    assert code_links.linked([before]) == [before]


@pytest.mark.parametrize("value", ["git@github.com:a/b", "ftp://x/y", "https://", "https://a:b@c"])
def test_address_of_the_code_that_is_none_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.CODE_URL, value)
    with pytest.raises(SettingError, match="address of the code on git"):
        settings.code_url()
