"""The page in Chromium, without a window: mouse, keyboard, a phone's width; nothing leaves it."""

import json
import re
import shutil

import pytest

from solvers.views.page.document import page_data, write_page
from tests.page.pages import EVIL

selenium = pytest.importorskip("selenium")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402
from selenium.webdriver.common.by import By  # noqa: E402
from selenium.webdriver.common.keys import Keys  # noqa: E402
from selenium.webdriver.support.ui import Select, WebDriverWait  # noqa: E402

BROWSER, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    BROWSER is None or DRIVER is None, reason="needs Chromium: apt-get install chromium chromium-driver"
)
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking")
FLAGS += ("--disable-component-update", "--disable-sync", "--window-size=1300,900")
MARKS = ".role-mark path:not(.background)"
NAME, OPERATOR, TRAFFIC = 1, 2, 8  # columns of the table of layers


SHOWS_FOCUS = """
const box = arguments[0].querySelector(".box");
const style = getComputedStyle(box ?? arguments[0]);
return box ? style.strokeWidth === "3px" : style.outlineStyle !== "none";
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('profile')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def file(whole, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "page.html"
    with path.open("w") as stream:
        write_page(whole, stream)
    return path


@pytest.fixture(scope="module")
def data(whole):
    return page_data(whole)


@pytest.fixture
def page(browser, file):
    """The page, just opened, with all its charts drawn."""
    for log in ("browser", "performance"):
        browser.get_log(log)
    emulate(browser, reduced_motion="reduce")
    browser.get(file.as_uri())
    wait(browser, lambda b: b.execute_script("return 'ready' in document.documentElement.dataset"))
    return browser


def emulate(browser, width=1300, **media):
    """A width of the window, and what the user prefers."""
    features = [
        {"name": f"prefers-{name.replace('_', '-')}", "value": value} for name, value in media.items()
    ]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 500}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def wait(browser, condition):
    return WebDriverWait(browser, 60, poll_frequency=0.05).until(condition)


def find(browser, css):
    return browser.find_element(By.CSS_SELECTOR, css)


def texts(browser, css):
    return browser.execute_script(
        "return [...document.querySelectorAll(arguments[0])].map((node) => node.textContent)", css
    )


def column(browser, number):
    return texts(browser, f"#layers tbody tr > :nth-child({number})")


def chosen(browser):
    return find(browser, ".chosen h3").text


def focused(browser):
    return browser.switch_to.active_element


def press(browser, *keys):
    for key in keys:
        ActionChains(browser).send_keys(key).perform()


def test_it_loads_without_a_word_in_the_console_and_every_chart_is_drawn(page, data):
    assert page.get_log("browser") == []
    figures = page.find_elements(By.CSS_SELECTOR, ".charts figure")
    charts = [c for c in (*data["results"][0]["charts"], *data["comparisons"][0]["charts"], *data["charts"])]
    assert len(figures) == len(charts) + 1  # the sweep's
    assert all(figure.get_attribute("data-drawn") is not None for figure in figures)
    assert all(figure.find_elements(By.CSS_SELECTOR, f"svg {MARKS}") for figure in figures)


def test_no_request_leaves_the_page_and_none_could(page, file):
    find(page, "#layers thead button").click()
    Select(find(page, "header select")).select_by_index(2)
    wait(page, lambda b: "stack" in chosen(b) or texts(b, ".chosen dt"))
    refused = page.execute_async_script(
        "const done = arguments[0];"
        "fetch('https://example.org/x').then(() => done('sent'), (error) => done(String(error)))"
    )
    assert refused.startswith("TypeError")
    assert any("Content Security Policy" in line["message"] for line in page.get_log("browser"))
    events = [json.loads(line["message"])["message"] for line in page.get_log("performance")]
    asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
    assert file.as_uri() in asked
    assert {url.partition(":")[0] for url in asked} <= {"file", "data", "blob"}
    assert [url for url in asked if url.startswith("file")] == [file.as_uri()]


def test_names_stay_text(page):
    assert page.title == f"tiny {EVIL}"
    assert find(page, "h1").text == f"tiny {EVIL}"
    assert EVIL in column(page, NAME)
    assert len(page.find_elements(By.TAG_NAME, "script")) == 3
    assert page.find_elements(By.TAG_NAME, "img") == []
    next(b for b in page.find_elements(By.CSS_SELECTOR, "#layers .choose") if b.text == EVIL).click()
    assert chosen(page) == f"Layer {EVIL}"
    assert any(EVIL in text for text in texts(page, "#sweep tbody td"))


def test_a_click_on_a_heading_sorts(page, data):
    rows = [view["row"] for view in data["results"][0]["layers"]]
    head = find(page, f"#layers thead th:nth-child({TRAFFIC})")
    button = head.find_element(By.TAG_NAME, "button")
    button.click()
    assert head.get_attribute("aria-sort") == "descending"
    by_traffic = sorted(rows, key=lambda row: -row["traffic"])
    assert column(page, NAME) == [row["name"] for row in by_traffic]
    button.click()
    assert head.get_attribute("aria-sort") == "ascending"
    assert column(page, NAME) == [row["name"] for row in reversed(by_traffic)]


def test_words_filter_rows(page):
    box = find(page, "#layers input")
    box.send_keys("DECONV comb")
    assert column(page, OPERATOR)
    assert all("deconv" in text for text in column(page, OPERATOR))
    box.send_keys(" nothing has this")
    assert column(page, NAME) == []
    assert "0 of 0 found in 6 rows" in find(page, "#layers [role=status]").text
    box.clear()
    box.send_keys("f")
    box.send_keys(Keys.BACKSPACE)
    assert len(column(page, NAME)) == 6


def test_a_chosen_layer_is_shown_everywhere(page, data):
    views = data["results"][0]["layers"]
    assert chosen(page) == f"Layer {views[0]['row']['name']}"
    find(page, "#layers tbody tr:nth-child(3) td").click()
    name = views[2]["row"]["name"]
    assert chosen(page) == f"Layer {name}"
    assert texts(page, ".chosen .nest") == [piece["nest"] for piece in views[2]["pieces"]]
    assert texts(page, "tr[aria-current=true] th") == [name]
    assert find(page, ".graph [aria-pressed=true]").get_attribute("data-id") == "2"
    assert name in find(page, "#said").text
    rooms = [room["kind"] for room in views[2]["pieces"][0]["rooms"]]
    shown = page.execute_script(
        "return [...document.querySelectorAll('.room > div')].map((room) => room.firstChild.className)"
    )
    assert shown == rooms
    edged = "return document.querySelectorAll('#charts svg path[stroke=\"var(--ink)\"]').length"
    wait(page, lambda b: b.execute_script(edged) > 0)
    find(page, ".graph [data-id='1']").click()
    assert chosen(page) == f"Layer {EVIL}"


def test_a_mark_under_the_pointer_says_what_it_is_and_a_click_chooses_it(page, data):
    figure = page.find_element(By.XPATH, "//figure[h3='Cycles by layer']")
    bars = figure.find_elements(By.CSS_SELECTOR, ".mark-rect path")
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    ActionChains(page).move_to_element(bars[1]).perform()
    tip = wait(
        page, lambda b: next(iter(b.find_elements(By.CSS_SELECTOR, "#vg-tooltip-element.visible")), None)
    )
    values = next(c for c in data["results"][0]["charts"] if c["title"] == "Cycles by layer")["values"]
    assert EVIL in tip.text
    assert f"{values[1]['cycles']:,.0f}"[:3] in tip.text
    ActionChains(page).click().perform()
    wait(page, lambda b: chosen(b) == f"Layer {EVIL}")


def tab_to(page, css):
    """Press the tabulator until something is reached; whatever has the focus on the way shows it."""
    for _ in range(80):
        press(page, Keys.TAB)
        node = focused(page)
        assert page.execute_script(SHOWS_FOCUS, node), node.get_attribute("outerHTML")[:200]
        if page.execute_script("return arguments[0].matches(arguments[1])", node, css):
            return node
    raise AssertionError(f"{css} was not reached")


def test_the_keyboard_alone_reaches_rows_graph_and_the_charts_numbers(page, data):
    names = [view["row"]["name"] for view in data["results"][0]["layers"]]

    tab_to(page, "#layers [data-stop]")
    press(page, Keys.ARROW_DOWN, Keys.ARROW_DOWN)
    assert focused(page).text == names[2]
    press(page, Keys.ENTER)
    assert chosen(page) == f"Layer {names[2]}"
    assert focused(page).text == names[2]
    tab_to(page, ".graph [data-stop]")
    assert focused(page).get_attribute("data-id") == "2"
    press(page, Keys.END, Keys.ARROW_UP, Keys.SPACE)
    assert chosen(page) == f"Layer {names[-2]}"
    summary = tab_to(page, "#charts figure > details > summary")
    press(page, Keys.ENTER)
    figure = summary.find_element(By.XPATH, "ancestor::figure")
    title = figure.find_element(By.TAG_NAME, "h3").text
    values = next(c for c in data["results"][0]["charts"] if c["title"] == title)["values"]
    lines = wait(page, lambda _: figure.find_elements(By.CSS_SELECTOR, "tbody tr"))
    assert len(lines) == len(values)


def test_on_a_phone_nothing_is_wider_than_the_page(page):
    wide = "return document.documentElement.scrollWidth"
    for width in (390, 320):
        emulate(page, width)
        for result in range(3):
            Select(find(page, "header select")).select_by_index(result)
            wait(page, lambda b, width=width: b.execute_script(wide) == width)
    assert find(page, "#layers .scroll").size["width"] < 320


def test_another_result_is_shown_when_it_is_asked_for(page, data):
    Select(find(page, "header select")).select_by_visible_text("fused")
    names = [view["row"]["name"] for view in data["results"][2]["layers"]]
    wait(page, lambda b: column(b, NAME) == names)
    stacked = next(i for i, view in enumerate(data["results"][2]["layers"]) if view["row"]["stack"])
    page.find_elements(By.CSS_SELECTOR, "#layers .choose")[stacked].click()
    assert "for band in" in texts(page, ".chosen .nest")[0]
    assert page.find_elements(By.CSS_SELECTOR, ".graph .stack")


def test_fronts_and_curves_follow_the_choice_of_a_layer(page):
    figure = page.find_element(By.XPATH, "//figure[h3='Latency against traffic']")
    line = "return arguments[0].querySelector('.mark-line path').getAttribute('d')"
    whole = page.execute_script(line, figure)
    Select(figure.find_element(By.TAG_NAME, "select")).select_by_visible_text("first")
    wait(page, lambda b: b.execute_script(line, figure) != whole)


def test_the_sweep_shows_what_is_chosen(page):
    Select(page.find_element(By.XPATH, "//label[starts-with(., 'Upwards')]/select")).select_by_visible_text(
        "latency_cycles"
    )
    wait(page, lambda b: "latency_cycles against hardware.bufsize" in texts(b, "#sweep h3"))
    wait(page, lambda b: len(b.find_elements(By.CSS_SELECTOR, f"#sweep {MARKS}")) == 6)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast(page, scheme):
    emulate(page, color_scheme=scheme)
    colour = "return getComputedStyle(document.documentElement).getPropertyValue(`--${arguments[0]}`).trim()"
    found = {n: page.execute_script(colour, n) for n in ("ink", "soft", "link", "paper", "raised", "chosen")}
    assert (luminance(found["paper"]) < 0.5) == (scheme == "dark")
    for text in ("ink", "soft", "link"):
        for ground in ("paper", "raised", "chosen"):
            assert contrast(found[text], found[ground]) >= 4.5, (text, ground)


def test_nothing_moves_for_those_who_prefer_that(page):
    motion = "return getComputedStyle(document.documentElement).scrollBehavior"
    emulate(page, reduced_motion="reduce")
    assert page.execute_script(motion) == "auto"
    emulate(page, reduced_motion="no-preference")
    assert page.execute_script(motion) == "smooth"


def luminance(colour):
    """Of ``#rrggbb``, as WCAG 2 defines it."""
    parts = [int(part, 16) / 255 for part in re.findall("[0-9a-f]{2}", colour.lower())]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)
