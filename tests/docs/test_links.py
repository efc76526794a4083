"""Every link of the documentation leads somewhere, and every derivation can be found."""

import re
import unicodedata
from pathlib import Path
from typing import Any

LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def anchors(text: str) -> set[str]:
    """What can be linked to in a page: the headings as a code host names them, and ids."""
    without_code = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found = set(re.findall(r'<a id="([^"]+)">', text))
    for heading in re.findall(r"^#+ (.*)$", without_code, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "")
        kept = [c for c in plain.lower() if c in " -_" or unicodedata.category(c)[0] in "LN"]
        found.add("".join(kept).replace(" ", "-"))
    return found


def test_links_lead_somewhere(page: Any) -> None:
    for target in LINK.findall(re.sub(r"^```.*?^```", "", page.text, flags=re.M | re.S)):
        if target.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.path.parent / path).resolve() if path else page.path
        assert there.exists(), f"{page.name} links to {target}"
        if anchor and there.suffix == ".md":
            assert anchor in anchors(there.read_text(encoding="utf-8")), f"{page.name}: {target}"


def test_addresses_are_secure(page: Any) -> None:
    assert "http://" not in page.text


def test_the_contents_name_every_derivation(pages: dict[str, Any]) -> None:
    contents = pages["README"].text
    for name in pages:
        if name.startswith("derivations/") or name == "architecture":
            assert f"({name}.md)" in contents, name


def test_headings_are_named_as_a_code_host_names_them() -> None:
    text = "# What is PyTorch's, and what differs\n```sh\n# no heading\n```\n## `cached` 2\n"
    assert anchors(text) == {"what-is-pytorchs-and-what-differs", "cached-2"}


def test_the_folder_of_the_pages_is_the_one_beside_the_package(pages: dict[str, Any]) -> None:
    assert pages["README"].path == Path(__file__).parents[2] / "docs" / "README.md"
