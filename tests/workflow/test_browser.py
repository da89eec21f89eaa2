"""The report and its pages in Debian's chromium, from the file system and without network.

Not part of `make test`, as few machines have a browser.  Run it with `make test-browser`, which
installs none.
"""

import json
import re
import shutil
import zipfile
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.browser

FINDINGS = ("gains", "answer", "findings")  # the first is a figure
TABLES = (
    *("by_skip_share", "datasets", "hr_ndcg", "lfm_skip_rules", "murs23_context"),
    *("paper_comparison", "recsys24_main", "skip_downranking", "skip_gains", "slices"),
)
FIGURES = (
    "gain_by_skip_share",
    "hit_rates",
    "learning_curves",
    "query_cosines",
    "rank_distribution",
)


class Browser:
    """A browser that has no network and remembers what pages asked for and complained of."""

    def __init__(self, chromium: str, chromedriver: str):
        options = webdriver.ChromeOptions()
        options.binary_location = chromium
        for argument in (
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--host-resolver-rules=MAP * ~NOTFOUND",
        ):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        self.screen()

    def screen(self, width: int = 1280, height: int = 900, **media: str) -> None:
        """The size of the window, and media features such as ``prefers_color_scheme``."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        features = [
            {"name": name.replace("_", "-"), "value": value} for name, value in media.items()
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def open(self, path: Path) -> None:
        self.driver.get(path.as_uri())

    def all(self, css: str) -> list:
        return self.driver.find_elements(By.CSS_SELECTOR, css)

    def script(self, code: str, *arguments):
        return self.driver.execute_script(code, *arguments)

    def until(self, condition):
        return WebDriverWait(self.driver, 10).until(lambda _: condition())

    def complaints(self) -> list[str]:
        """Errors of the console, and addresses other than of files, since the last call."""
        errors = [
            entry["message"]
            for entry in self.driver.get_log("browser")
            if entry["level"] == "SEVERE"
        ]
        messages = [
            json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")
        ]
        asked = [
            m["params"]["request"]["url"]
            for m in messages
            if m["method"] == "Network.requestWillBeSent"
        ]
        return errors + [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


@pytest.fixture(scope="module")
def browser():
    found = [shutil.which(name) for name in ("chromium", "chromedriver")]
    if None in found:
        pytest.fail(
            "there is no chromium with its driver here: apt-get install chromium chromium-driver",
            pytrace=False,
        )
    browser = Browser(*found)
    yield browser
    browser.driver.quit()


@pytest.fixture
def desk(browser):
    """The browser as on a desk, whatever the test before made of it."""
    browser.screen()
    browser.complaints()
    return browser


@pytest.fixture(scope="module")
def report(finished, tmp_path_factory) -> Path:
    """The unpacked report of the tiny run."""
    folder = tmp_path_factory.mktemp("report")
    finished.made(
        "--report", str(folder / "report.zip"), "--report-stylesheet", "workflow/report/report.css"
    )
    with zipfile.ZipFile(folder / "report.zip") as archive:
        archive.extractall(folder)
    return folder / "report"


def page_of(report: Path, name: str) -> Path:
    """The page of a table inside the report."""
    return next(report.rglob(f"{name}.html"))


def open_rows(browser: Browser) -> None:
    """Open the rows of a table that leads with the layout of the papers."""
    for summary in browser.all(".long > summary"):
        summary.click()


def menu(browser: Browser, name: str) -> None:
    """Click an entry of the report's menu."""
    browser.until(lambda: browser.driver.find_elements(By.XPATH, f"//nav//*[text()='{name}']"))[
        0
    ].click()


class TestReport:
    def test_it_opens_with_the_findings_and_the_workflow(self, desk, report):
        desk.open(report / "report.html")
        text = desk.until(lambda: desk.all(".prose"))[0].text
        assert text.startswith("What is a skip worth")
        assert "Simulated data: mssd-sim, lfm1k-sim, lfm2b-sim." in text
        assert "The contrastive term helps every model on every data set" in text
        assert (
            desk.script("return document.querySelector('.prose h1').getBoundingClientRect().top")
            >= 0
        )
        graph = desk.until(lambda: desk.all("#rulegraph canvas, #rulegraph svg"))[0]
        assert graph.size["height"] > 300
        assert desk.complaints() == []

    def test_it_shows_every_table_in_place(self, desk, report):
        for category, names in (("1 Findings", FINDINGS), ("2 Tables", TABLES)):
            desk.open(report / "report.html")
            menu(desk, category)
            rows = desk.until(lambda: desk.all("nav tbody tr"))
            assert [row.text.strip() for row in rows] == list(names)
            for at in range(names == FINDINGS, len(rows)):
                desk.all("nav tbody tr")[at].find_element(By.TAG_NAME, "a").click()
                frame = desk.until(lambda: desk.all("iframe"))[0]
                desk.driver.switch_to.frame(frame)
                desk.until(
                    lambda: (
                        desk.all(".scroll tbody tr")
                        and desk.all(".scroll tbody tr")[0].is_displayed()
                    )
                )
                assert desk.all(".warning")[0].is_displayed()
                desk.driver.switch_to.default_content()
        assert desk.complaints() == []

    def test_it_shows_every_figure_in_place(self, desk, report):
        desk.open(report / "report.html")
        menu(desk, "3 Figures")
        rows = desk.until(lambda: desk.all("nav tbody tr"))
        assert [row.text.strip() for row in rows] == list(FIGURES)
        for at, name in enumerate(FIGURES):
            desk.all("nav tbody tr")[at].find_element(By.TAG_NAME, "a").click()
            image = desk.until(lambda name=name: desk.all(f"img[src$='{name}.svg']"))[0]
            desk.until(lambda image=image: desk.script("return arguments[0].complete", image))
            assert desk.script("return arguments[0].naturalWidth", image) > 300, name
            assert image.is_displayed()
            assert image.rect["x"] >= 0
            assert image.rect["width"] > 300
        assert desk.complaints() == []

    def test_captions_and_running_times_are_there(self, desk, report):
        desk.open(report / "report.html")
        menu(desk, "Statistics")
        assert (
            desk.until(lambda: desk.all("#runtimes canvas, #runtimes svg"))[0].size["height"] > 100
        )
        menu(desk, "2 Tables")
        desk.until(lambda: desk.all("nav tbody tr"))[0].find_elements(By.TAG_NAME, "a")[1].click()
        desk.until(lambda: "The papers say that the gain grows" in desk.all("nav")[0].text)
        assert desk.complaints() == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_fits_a_phone(self, browser, report, scheme):
        browser.screen(390, 844, prefers_color_scheme=scheme)
        browser.open(report / "report.html")
        browser.until(lambda: browser.all(".prose h1"))
        assert browser.script("return document.documentElement.scrollWidth") <= 390
        nav, text = browser.all("nav")[0].rect, browser.all(".prose")[0].rect
        assert nav["y"] + nav["height"] <= text["y"]  # one under the other
        assert contrast(browser, ".prose p:last-child") >= 4.5
        menu(browser, "3 Figures")
        assert browser.script("return document.documentElement.scrollWidth") <= 390


class TestTable:
    @pytest.mark.parametrize("name", ["findings", *TABLES])
    def test_it_sorts_searches_and_asks_for_nothing(self, desk, report, name):
        desk.open(page_of(report, name))
        open_rows(desk)
        before = [row.text for row in desk.all("#rows tbody tr")]
        heading = desk.all("th.number button")[-1]
        for order in ("descending", "ascending", "none"):
            desk.script("arguments[0].scrollIntoView({inline: 'center', block: 'center'})", heading)
            heading.click()
            assert heading.find_element(By.XPATH, "..").get_attribute("aria-sort") == order
            assert len(desk.all("[aria-sort=ascending], [aria-sort=descending]")) == (
                order != "none"
            )
            if order != "none":
                check_order(desk, heading, order)
        assert [row.text for row in desk.all("#rows tbody tr")] == before

        word = re.split(r"\s", desk.all("#rows tbody tr")[-1].text)[0]
        search = desk.all("input[type=search]")[0]
        assert search.is_displayed() == (len(before) >= 6)
        if not search.is_displayed():
            assert desk.complaints() == []
            return
        search.send_keys(word.upper())
        shown = [row.text for row in desk.all("#rows tbody tr") if row.is_displayed()]
        assert shown == [text for text in before if word.lower() in text.lower()]
        assert desk.all("#count")[0].text.startswith(str(len(shown)))
        search.send_keys(" nowhere-to-be-found")
        assert not [row for row in desk.all("#rows tbody tr") if row.is_displayed()]
        desk.all("button[type=reset]")[0].click()
        desk.until(lambda: desk.all("#count")[0].text == f"{len(before)} rows")
        assert desk.complaints() == []

    def test_the_keyboard_reaches_and_sorts(self, desk, report):
        desk.open(page_of(report, "hr_ndcg"))
        desk.all("input[type=search]")[0].click()
        for _ in range(30):
            ActionChains(desk.driver).send_keys(Keys.TAB).perform()
            focused = desk.driver.switch_to.active_element
            if focused.text.startswith("HR@10"):
                break
        assert focused.text.startswith("HR@10")
        assert focused.value_of_css_property("outline-style") == "solid"
        for key, order in ((Keys.ENTER, "descending"), (Keys.SPACE, "ascending")):
            ActionChains(desk.driver).send_keys(key).perform()
            assert focused.find_element(By.XPATH, "..").get_attribute("aria-sort") == order
            check_order(desk, focused, order)
        assert desk.driver.switch_to.active_element == focused

    def test_a_pick_leaves_its_rows(self, desk, report):
        desk.open(page_of(report, "hr_ndcg"))
        desk.all("select[name=candidates] option[value=full]")[0].click()
        shown = [row for row in desk.all("#rows tbody tr") if row.is_displayed()]
        assert {row.get_attribute("data-candidates") for row in shown} == {"full"}
        of_all = len(desk.all("#rows tbody tr"))
        assert desk.all("#count")[0].text == f"{len(shown)} of {of_all} rows"

    @pytest.mark.parametrize("name", ["findings", *TABLES])
    def test_it_fits_a_phone(self, browser, report, name):
        browser.screen(390, 844)
        browser.open(page_of(report, name))
        assert browser.script("return document.documentElement.scrollWidth") <= 390
        # The table scrolls in its own window, under a first column that stays.
        open_rows(browser)
        left = browser.script(
            "const first = document.querySelector('#rows tbody th');"
            "const window = first.closest('.scroll'); window.scrollLeft = 200;"
            "return [window.scrollLeft, first.getBoundingClientRect().left - "
            "window.getBoundingClientRect().left]"
        )
        assert left[0] > 100
        assert 0 <= left[1] <= 2
        assert browser.all("#rows tbody th")[0].is_displayed()

    def test_the_papers_layout_comes_first_and_the_rows_are_a_click_away(self, desk, report):
        desk.open(page_of(report, "recsys24_main"))
        assert desk.all(".wide")[0].is_displayed()
        assert [head.text for head in desk.all(".wide")[0].find_elements(By.CSS_SELECTOR, ".group")]
        assert not desk.all("#rows")[0].is_displayed()
        open_rows(desk)
        assert desk.all("#rows")[0].is_displayed()
        assert contrast(desk, ".wide .printed") >= 4.5
        assert desk.complaints() == []

    @pytest.mark.parametrize("scheme", ["light", "dark"])
    def test_it_can_be_read_in_light_and_dark(self, browser, report, scheme):
        browser.screen(prefers_color_scheme=scheme)
        browser.open(page_of(report, "findings"))
        lightness = luminance(
            browser.script("return getComputedStyle(document.body).backgroundColor")
        )
        assert (lightness < 0.1) == (scheme == "dark")
        for css in (
            "h1",
            ".warning",
            ".facts dt",
            "#rows thead button",
            "#rows tbody th",
            ".interval",
            ".cannot-be-told",
            "select",
        ):
            assert contrast(browser, css) >= 4.5, css

    def test_paper_gets_the_whole_table_and_no_tools(self, browser, report):
        browser.open(page_of(report, "hr_ndcg"))
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
        assert not browser.all(".tools")[0].is_displayed()
        assert browser.all(".scroll")[0].value_of_css_property("overflow-y") == "visible"
        assert browser.all("#rows tbody tr")[-1].is_displayed()
        browser.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def check_order(browser: Browser, heading, order: str) -> None:
    """The numbers of the column, as shown, go up or down; missing values stand at the end."""
    at = browser.script("return arguments[0].parentElement.cellIndex", heading)
    keys = browser.script(
        "return [...document.querySelectorAll('#rows tbody tr')].map(r => "
        "r.cells[arguments[0]].dataset.key)",
        at,
    )
    known = [float(key) for key in keys if key is not None]
    assert known == sorted(known, reverse=order == "descending")
    assert keys[len(known) :] == [None] * (len(keys) - len(known))


def luminance(colour: str) -> float:
    """Relative luminance of a css colour, after WCAG 2."""
    parts = [float(part) / 255 for part in re.findall(r"[\d.]+", colour)[:3]]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(browser: Browser, css: str) -> float:
    """Contrast of the text of an element with the nearest background behind it, after WCAG 2."""
    colours = browser.script(
        "let at = document.querySelector(arguments[0]); const text = getComputedStyle(at).color;"
        "const clear = 'rgba(0, 0, 0, 0)';"
        "while (at && getComputedStyle(at).backgroundColor === clear) at = at.parentElement;"
        "return [text, at ? getComputedStyle(at).backgroundColor : 'rgb(255, 255, 255)']",
        css,
    )
    low, high = sorted(map(luminance, colours))
    return (high + 0.05) / (low + 0.05)
