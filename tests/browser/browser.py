"""A real Chromium before the console, and an eye on everything that its pages do.

Chromium is the program in PORTCULLIS_CHROMIUM. `run(script)` starts it, gives the script what standard input says (JSON)
and prints what the script returns (JSON). A script that fails ends this program with a traceback, after it has kept a
picture of every open page in the folder `shots` of its input.

A `Visitor` is somebody with cookies of their own and one page. What a page of the console must never do is noted in its
`faults`, and `check()` fails if there are any: a report of the content security policy, a script that throws, an error in
the browser's console, a dialog, a request to another host, a part of a page that does not load.
"""

import json
import os
import pathlib
import sys
import time
import urllib.parse
from contextlib import contextmanager

from playwright.sync_api import expect, sync_playwright

FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
]
WIDE = {"width": 1280, "height": 800}
NARROW = {"width": 390, "height": 844}
# How long something may take that is waited for, in seconds: other tests may run meanwhile.
PATIENCE = 30

# A page that runs no script cannot say so, but Chromium still writes violations to its console.
TELL_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) => console.error(
  `content security policy: ${event.effectiveDirective} forbids ${event.blockedURI} ${event.sample} in ${event.documentURI}`));
"""
# Chromium's words for an answer that is no 2xx. Answers are looked at one by one: for a page it may be right.
NOT_2XX = "Failed to load resource: the server responded with a status of"
# And for a field of dates that comes back with what is none.
NO_DATE = "The specified value "

# Playwright leaves an empty style where it has hidden a caret for a picture.
# What no page of the console has, whatever somebody has typed: script of its own, handlers, styles, things from elsewhere.
FOREIGN = """() => [...document.querySelectorAll("*")].filter((element) =>
  (element.localName === "script" && !element.src.startsWith(location.origin + "/assets/"))
  || ["img", "iframe", "object", "embed", "style", "base", "video", "audio", "template"].includes(element.localName)
  || [...element.attributes].some(({ name, value }) =>
       name.startsWith("on") || (name === "style" && value) || /^\\s*(javascript|data|vbscript):/i.test(value))
).map((element) => element.outerHTML.slice(0, 300))"""


class Visitor:
    """Somebody before a browser."""

    def __init__(self, context, base, has_script):
        self.base = base
        # Where requests of its pages may go.
        self.hosts = {urllib.parse.urlsplit(base).netloc}
        self.context = context
        self.has_script = has_script
        self.faults = []
        self.bytes = 0
        context.on("console", self._console)
        context.on("weberror", lambda error: self.faults.append(f"a script throws: {error.error}"))
        context.on("dialog", self._dialog)
        context.on("request", self._request)
        context.on("response", self._response)
        self.page = context.new_page()
        network = context.new_cdp_session(self.page)
        network.send("Network.enable")
        network.send("Network.setCacheDisabled", {"cacheDisabled": True})
        network.on("Network.loadingFinished", self._finished)
        self.network = network

    def _console(self, message):
        if message.type in ("error", "warning") and not message.text.startswith((NOT_2XX, NO_DATE)):
            self.faults.append(f"{message.page.url if message.page else ''}: {message.text}")

    def _dialog(self, dialog):
        self.faults.append(f"a dialog: {dialog.message}")
        dialog.dismiss()

    def _request(self, request):
        if urllib.parse.urlsplit(request.url).netloc not in self.hosts:
            self.faults.append(f"a request to another host: {request.url}")

    def _response(self, response):
        if response.status >= 400 and response.request.resource_type != "document":
            self.faults.append(f"{response.status} for {response.url}")

    def _finished(self, event):
        self.bytes += event["encodedDataLength"]

    def go(self, path, expected=200):
        """Goes to a page; what came of it must have this status."""
        self.bytes = 0
        answer = self.page.goto(self.base + path)
        assert answer.status == expected, f"{path}: {answer.status} rather than {expected}"
        return answer

    def sign_in(self, name, password):
        """Signs in by the form, and is where the console leads then."""
        self.go("/sign-in")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("Password", exact=True).fill(password)
        self.page.get_by_role("button", name="Sign in", exact=True).click()
        expect(self.page).to_have_url(f"{self.base}/keys")

    def copy(self, button):
        """Presses a button that copies, and returns what there is to paste then."""
        # Its name changes as it is pressed, by which it could not be found again.
        button = button.element_handle()
        button.click()
        self.page.wait_for_function("(button) => button.textContent.startsWith('Copied')", arg=button)
        return self.page.evaluate("navigator.clipboard.readText()")

    def foreign(self):
        """What on the page is none of the console's."""
        return self.page.evaluate(FOREIGN)

    def check(self):
        """Fails if a page did what no page may do."""
        foreign = self.foreign()
        assert not foreign, f"{self.page.url} has {foreign}"
        assert not self.faults, "\n".join(self.faults)


class Chromium:
    """The browser."""

    def __init__(self, browser):
        self.browser = browser
        self.visitors = []

    def visitor(self, base, *, has_script=True, **options):
        """Somebody new, before a wide screen if nothing else is said."""
        options = {"viewport": WIDE, "locale": "en-GB", "timezone_id": "UTC", **options}
        context = self.browser.new_context(java_script_enabled=has_script, **options)
        context.set_default_timeout(PATIENCE * 1000)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=base)
        context.add_init_script(TELL_VIOLATIONS)
        visitor = Visitor(context, base, has_script)
        self.visitors.append(visitor)
        return visitor

    def keep(self, folder, name):
        """Keeps a picture of every page that is open."""
        folder = pathlib.Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        for number, visitor in enumerate(self.visitors):
            file = folder / f"{name}-{number}.png"
            visitor.page.screenshot(path=file, full_page=True)
            print(f"{visitor.page.url} looked so: {file}", file=sys.stderr)


@contextmanager
def chromium():
    """The browser, for as long as it is needed."""
    with sync_playwright() as playwright:
        program = os.environ["PORTCULLIS_CHROMIUM"]
        browser = playwright.chromium.launch(executable_path=program, args=FLAGS, headless=True)
        yield Chromium(browser)
        browser.close()


def until(what, is_so, patience=PATIENCE):
    """Asks until it is so. Asking takes its time, as it is a page that is loaded or a call."""
    end = time.monotonic() + patience
    while not is_so():
        assert time.monotonic() < end, f"not after {patience} s: {what}"


def run(script):
    """Runs a script with what standard input says, and prints what it returns."""
    house = json.load(sys.stdin)
    expect.set_options(timeout=PATIENCE * 1000)
    with chromium() as browser:
        try:
            report = script(house, browser)
            for visitor in browser.visitors:
                visitor.check()
        except BaseException:
            browser.keep(house["shots"], f"{pathlib.Path(sys.argv[0]).stem}-{house['test']}")
            raise
    json.dump(report, sys.stdout)
