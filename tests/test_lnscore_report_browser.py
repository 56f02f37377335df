"""The report in a browser: fetches nothing, fits a screen and a phone, prints whole nodes."""

import html
import re
import shutil
import subprocess
import threading
import zlib
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from fake_report import Engine, Hospital, fill, typical_findings, typical_nodes, uid
from lnscore.report import job as report_job
from lnscore.short_names import folder_name

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: make system installs it"),
]

OF_THE_BROWSER = (".google.com", ".googleapis.com", ".gstatic.com", ".gvt1.com")
"""What Chromium asks for by itself, on an empty page too."""

YELLOW = (0xFF, 0xD6, 0x0A)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The index and the page of every kind of study."""
    root = tmp_path_factory.mktemp("hospital")
    hospital = Hospital(root)
    made = fill(hospital)
    hospital.add_study("operated", typical_nodes(), Engine("an engine with quite a long name"))
    hospital.add_report("operated", *typical_findings())
    hospital.add_study("lost", typical_nodes()[:1])
    hospital.store.path(_newest_patches(hospital)).unlink()
    hospital.db.close()
    report_job.run(hospital.settings, root / "out")
    names = ("scored", "untrained", "not scored", "no nodes", "waiting")
    shown = {
        name: root / "out" / "studies" / folder_name(study) / "index.html"
        for name, study in zip(names, made, strict=True)
    }
    operated = folder_name(uid("study", "operated"))
    shown["pathology"] = root / "out" / "studies" / operated / "index.html"
    return shown | {"index": root / "out" / "index.html"}


def _newest_patches(hospital: Hospital) -> str:
    files = hospital.store.root.rglob("*.npy")
    return max(files, key=lambda path: path.stat().st_mtime_ns).stem


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run Chromium once; gives its standard output."""
    profile = tmp_path_factory.mktemp("profile")

    def run(*arguments: str) -> str:
        fixed = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run")
        quiet = ("--disable-background-networking", "--disable-component-update")
        done = subprocess.run(
            [str(CHROMIUM), *fixed, *quiet, f"--user-data-dir={profile}", *arguments],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        return done.stdout

    return run


@pytest.fixture
def proxy() -> Iterator[tuple[str, set[str]]]:
    """A proxy that lets nothing through and notes every host that was asked for."""
    hosts: set[str] = set()

    class Notes(BaseHTTPRequestHandler):
        def do_GET(self):
            target = self.path if "://" in self.path else f"//{self.path}"
            hosts.add(urlsplit(target).hostname or "")
            self.send_error(502)

        do_POST = do_HEAD = do_CONNECT = do_GET

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Notes)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"--proxy-server=http://127.0.0.1:{server.server_port}", hosts
    server.shutdown()
    thread.join()
    server.server_close()


def foreign(hosts: set[str]) -> set[str]:
    return {host for host in hosts if not host.endswith(OF_THE_BROWSER)}


PLANTED = '<img src="http://planted.test/a.png"><script src="http://planted.test/b.js"></script>'


def test_no_page_asks_for_anything(pages, chromium, proxy, tmp_path: Path) -> None:
    through, hosts = proxy
    frames = "".join(f'<iframe src="{path.as_uri()}"></iframe>' for path in pages.values())
    (tmp_path / "all.html").write_text(frames)
    chromium(through, "--screenshot=" + str(tmp_path / "x.png"), (tmp_path / "all.html").as_uri())
    assert not foreign(hosts)


def test_the_proxy_would_have_seen_it(chromium, proxy, tmp_path: Path) -> None:
    through, hosts = proxy
    (tmp_path / "bad.html").write_text(PLANTED)
    chromium(through, "--screenshot=" + str(tmp_path / "x.png"), (tmp_path / "bad.html").as_uri())
    assert foreign(hosts) == {"planted.test"}


def test_the_policy_stops_what_an_error_of_ours_would_let_in(
    pages, chromium, proxy, tmp_path: Path
) -> None:
    through, hosts = proxy
    text = pages["scored"].read_text(encoding="utf-8")
    script = "<script>document.title = 'ran'</script>"
    (tmp_path / "bad.html").write_text(text.replace("<main>", f"<main>{PLANTED}{script}"))
    shown = chromium(through, "--dump-dom", (tmp_path / "bad.html").as_uri())
    assert "planted.test" in shown
    assert "<title>ran</title>" not in shown
    assert not foreign(hosts)


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_no_page_is_wider_than_the_window(pages, chromium, tmp_path: Path, width: int) -> None:
    """The pages have no script; a page around them measures them in frames of that width."""
    frames = "".join(
        f'<iframe title="{name}" src="{path.as_uri()}" style="width:{width}px"></iframe>'
        for name, path in pages.items()
    )
    measure = """<script>onload = () => {
      for (const frame of document.querySelectorAll("iframe")) {
        const page = frame.contentDocument.documentElement;
        const own = frame.contentDocument.querySelectorAll("header, main, article, footer");
        const wide = [...own].filter(part => part.scrollWidth > part.clientWidth);
        frame.dataset.found = [page.scrollWidth <= page.clientWidth, wide.length].join(" ");
      }
    }</script>"""
    (tmp_path / "outer.html").write_text(f"<style>iframe {{border: 0}}</style>{frames}{measure}")
    shown = chromium(
        "--allow-file-access-from-files", "--dump-dom", (tmp_path / "outer.html").as_uri()
    )
    found = dict(
        re.findall(r'<iframe title="([^"]+)"[^>]* data-found="([^"]+)"', html.unescape(shown))
    )
    assert found == dict.fromkeys(pages, "true 0")


def test_outlines_are_drawn_and_can_be_hidden(pages, chromium, tmp_path: Path) -> None:
    text = pages["scored"].read_text(encoding="utf-8")
    (tmp_path / "shown.html").write_text(text)
    (tmp_path / "hidden.html").write_text(text.replace('id="outlines" checked', 'id="outlines"'))
    counts = []
    for name in ("shown", "hidden"):
        picture = tmp_path / f"{name}.png"
        page = (tmp_path / f"{name}.html").as_uri()
        chromium(f"--screenshot={picture}", "--window-size=1280,3000", page)
        pixels = np.asarray(Image.open(picture).convert("RGB")).astype(int)
        counts.append(int((np.abs(pixels - YELLOW).max(axis=2) < 40).sum()))
    assert counts[0] > 500
    assert counts[1] == 0


@pytest.mark.parametrize(("name", "most"), [("scored", 4), ("pathology", 5)])
def test_print_keeps_every_node_on_one_page(
    pages, chromium, tmp_path: Path, name: str, most: int
) -> None:
    """Each printed page has all three pictures of its nodes, or none."""
    pdf = tmp_path / "page.pdf"
    chromium(f"--print-to-pdf={pdf}", "--no-pdf-header-footer", pages[name].as_uri())
    counts = pictures_by_page(pdf.read_bytes())
    assert sum(counts) == 3 * len(typical_nodes())
    assert all(count % 3 == 0 for count in counts)
    assert len(counts) <= most


def pictures_by_page(pdf: bytes) -> list[int]:
    """How many images each page of Chromium's PDF paints."""
    objects = dict(re.findall(rb"\n(\d+) 0 obj\n(.*?)endobj", pdf, re.DOTALL))
    images = {number for number, body in objects.items() if b"/Subtype /Image" in body}
    pages = [body for body in objects.values() if re.search(rb"/Type /Page\b", body)]
    counts = []
    for page in pages:
        names = dict(re.findall(rb"/(X\d+) (\d+) 0 R", page))
        stream = objects[re.search(rb"/Contents (\d+) 0 R", page)[1]]
        data = stream.split(b"stream\n", 1)[1].rsplit(b"\nendstream", 1)[0]
        painted = re.findall(rb"/(X\d+) Do", zlib.decompress(data))
        counts.append(sum(names.get(name) in images for name in painted))
    return counts
