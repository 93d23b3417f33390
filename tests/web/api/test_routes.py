"""The configuration that the page loads from its server."""

from __future__ import annotations

import pytest

from tests.web.conftest import Site


@pytest.mark.parametrize(
    ("manifest", "title"),
    [
        (None, "{folder}"),
        ("project: Image pipeline\nmachines: [{config: gone.yaml}]", "Image pipeline"),
        ("project: {name: Nested}", "Nested"),
        ("machines: []", "{folder}"),
        ("project: [", "{folder}"),
        ("- nothing", "{folder}"),
    ],
)
def test_the_page_has_the_name_in_the_manifest_or_else_of_its_folder(
    site: Site, manifest: str | None, title: str
) -> None:
    if manifest is not None:
        (site.folder / "statemachine-project.yaml").write_text(manifest)

    assert site.get("/api/config")["title"] == title.format(folder=site.folder.name)
