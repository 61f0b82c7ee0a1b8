"""Links from the UI to the code: to files in a checkout, to git where the platform is deployed.

An installed package has files, too, but not on the machine of the browser's user.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE

PACKAGE = Path(__file__).parent
# Where an asset is declared, by the zone of its key.
_DECLARED = {
    INGESTION: "catalogue/source/{}.py",
    PROCESSED: "catalogue/stars/{}.py",
    WAREHOUSE: "catalogue/stars/{}.py",
    settings.REPORTS: "warehouse/sql/reports/{}.sql",
}
Asset = dg.AssetsDefinition | dg.AssetSpec


def is_checkout() -> bool:
    """Whether this code is a checkout that somebody may edit."""
    return (PACKAGE.parent / "pyproject.toml").exists()


def linked(assets: Sequence[Asset]) -> list[Asset]:
    """The assets with links to their code; without, where nobody could follow them.

    Raises SettingError.
    """
    url = settings.code_url()
    if url is None and not is_checkout():
        return [*assets]
    with warnings.catch_warnings():
        # Links to code are beta in Dagster 1.13; without them the UI shows all but the links.
        warnings.simplefilter("ignore", dg.BetaWarning)
        found = dg.with_source_code_references(assets)
        return [_with_links(cast(Asset, asset), url) for asset in found]


def _with_links(asset: Asset, url: str | None) -> Asset:
    if isinstance(asset, dg.AssetSpec):
        return _spec(asset, url)
    return asset.map_asset_specs(lambda spec: _spec(spec, url))


def _spec(spec: dg.AssetSpec, url: str | None) -> dg.AssetSpec:
    before: Any = spec.metadata.get("dagster/code_references")
    places = [*_declarations(spec.key), *(before.code_references if before else ())]
    if not places:
        return spec
    references = [_on_git(place, url) for place in places] if url else places
    value = dg.CodeReferencesMetadataValue(code_references=references)
    return spec.merge_attributes(metadata={"dagster/code_references": value})


def _declarations(key: dg.AssetKey) -> Iterator[dg.LocalFileCodeReference]:
    zone, name = key.path
    path = PACKAGE / _DECLARED.get(zone, "").format(name)
    if path.is_file():
        yield dg.LocalFileCodeReference(file_path=str(path), line_number=1, label=path.name)


def _on_git(place: dg.LocalFileCodeReference, url: str) -> dg.UrlCodeReference:
    path = Path(place.file_path).relative_to(PACKAGE.parent).as_posix()
    return dg.UrlCodeReference(
        url=f"{url}/{path}#L{place.line_number}", label=place.label or Path(path).name
    )
