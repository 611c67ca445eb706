"""The pages for users are true: each ```python block runs, in order, against an endpoint in memory; each link leads on.

A block that cannot run here, because it is of another package, is marked "```python no-run"; it must still compile.
What docs/testing.md shows of tests, `test_testing_fixture` runs with pytest.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from pathlib import Path
from typing import NamedTuple

import httpx2
import pytest

from friendli.testing import Endpoint

ROOT = Path(__file__).parent.parent.parent
PAGES = [
    page
    for page in ("README.md", "docs/sdk.md", "docs/errors.md", "docs/migration.md", "docs/testing.md")
    if (ROOT / page).exists()
]
LINKED = sorted(str(path.relative_to(ROOT)) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])

FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.DOTALL | re.MULTILINE)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.MULTILINE)


class Block(NamedTuple):
    page: str
    line: int  # of the page, before the block's first one
    info: str
    text: str

    def compiled(self):
        """Its errors name the page's lines; it may await."""
        source = "\n" * self.line + textwrap.dedent(self.text)
        return compile(source, self.page, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)


def blocks(page: str) -> list[Block]:
    text = (ROOT / page).read_text()
    return [
        Block(page, text.count("\n", 0, found.start("text")), found["info"].strip(), found["text"])
        for found in FENCE.finditer(text)
    ]


def prose(page: str) -> str:
    """The page without what is code."""
    return re.sub(r"`[^`\n]*`", "", FENCE.sub("", (ROOT / page).read_text()))


def anchors(page: str) -> set[str]:
    """What follows a # in links to the page's headings, as GitHub makes it."""
    headings = HEADING.findall(FENCE.sub("", (ROOT / page).read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.fixture
def _a_users_machine(monkeypatch, tmp_path):
    """A token, and a network that is an endpoint, for HTTP clients of the user's own, too."""
    monkeypatch.setenv("FRIENDLI_TOKEN", "flp_docs")
    monkeypatch.delenv("FRIENDLI_SERVER_URL", raising=False)
    monkeypatch.chdir(tmp_path)
    with Endpoint(default="This is a test!") as endpoint:
        http, async_http = endpoint.http_client(), endpoint.async_http_client()
        for kind, method, client in (
            (httpx2.HTTPTransport, "handle_request", http),
            (httpx2.AsyncHTTPTransport, "handle_async_request", async_http),
        ):
            monkeypatch.setattr(kind, method, lambda _, request, client=client: client.send(request, stream=True))
        yield


@pytest.mark.usefixtures("_a_users_machine")
@pytest.mark.parametrize("page", PAGES)
def test_what_a_page_shows_runs_in_its_order(page):
    names: dict[str, object] = {"__name__": "__main__"}
    with asyncio.Runner() as runner:
        for block in blocks(page):
            if block.info == "python":
                code = block.compiled()
                waiting = eval(code, names)  # noqa: S307 - our own page
                if code.co_flags & inspect.CO_COROUTINE:
                    runner.run(waiting)
        names.clear()


@pytest.mark.parametrize("page", LINKED)
def test_what_does_not_run_is_python_all_the_same(page):
    for block in blocks(page):
        assert block.info in ("python", "python no-run") or not block.info.startswith("py"), block
        if block.info == "python no-run":
            block.compiled()


@pytest.mark.parametrize("page", LINKED)
def test_every_link_leads_to_a_page_and_a_heading_that_are_there(page):
    for link in LINK.findall(prose(page)):
        path, _, anchor = link.partition("#")
        if "://" in link or link.startswith("mailto:"):
            continue
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), f"{page}: {link}"
        if anchor:
            assert anchor in anchors(str(target.resolve().relative_to(ROOT))), f"{page}: {link}"


def test_blocks_are_found_with_their_lines_and_links_with_their_headings():
    shown = {block.line: block for block in blocks("README.md")}
    lines = (ROOT / "README.md").read_text().splitlines()
    assert all(lines[line - 1].strip() == f"```{block.info}" for line, block in shown.items())
    assert {"the-python-client", "retries"} <= anchors("docs/sdk.md")
    assert "docs/sdk.md" in LINK.findall(prose("README.md"))
