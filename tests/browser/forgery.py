"""Forms that were not sent from a page of the console, by the browser of somebody who is signed in: all are refused.

Input: `console`; `password`; `places`. Every form of every page is sent without its token, and, with a token that is good,
from a page of another origin: another port of the same host, to which browsers send the cookies of this one, and another
host. It prints which forms those were, and fails where one is not refused; whoever starts it looks whether anything has
changed.
"""

import html
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import site_map
from browser import run
from playwright.sync_api import expect

FORMS = """() => [...document.forms].filter((form) => form.method === "post").map((form) => ({
  action: form.getAttribute("action"), fields: [...new FormData(form)] }))"""
# As a script of the page would; what a field requires is not asked for.
STRIPPED = """(action) => {
  const form = [...document.forms].find((form) => form.method === "post" && form.getAttribute("action") === action);
  form.querySelector("[name=form_token]").remove();
  HTMLFormElement.prototype.submit.call(form);
}"""


class Evil:
    """A page elsewhere, with a form for this console."""

    def __init__(self):
        evil = self
        self.page = ""

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("content-type", "text/html; charset=utf-8")
                self.end_headers()
                self.wfile.write(evil.page.encode())

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def offer(self, address, fields):
        """Has it show a form with these fields."""
        inputs = "".join(
            f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">' for name, value in fields
        )
        self.page = f'<!doctype html><form method="post" action="{html.escape(address)}">{inputs}<button>Win</button></form>'


def answer_to(visitor, act):
    """What comes of a form."""
    with visitor.page.expect_navigation() as navigation:
        act()
    return navigation.value


def is_refused(visitor, answer, what):
    """Fails if it was not."""
    assert answer.status == 403, f"{what}: {answer.status}"
    expect(visitor.page.get_by_role("heading", level=1)).to_have_text("This form is no longer valid")


def forms(people, house):
    """One form for each address to which there are any, with who may send it and the page that it is on."""
    found = {}
    for page in site_map.PAGES:
        if page.act or page.status != 200:
            continue
        visitor = people.of(page)
        page.visit(visitor, house["places"])
        for form in visitor.page.evaluate(FORMS):
            found.setdefault(form["action"], (visitor, visitor.page.url, form["fields"]))
    return found


def from_elsewhere(visitor, evil, host, address, fields):
    """Sends a form from another origin."""
    evil.offer(address, fields)
    visitor.page.goto(f"http://{host}:{evil.port}/")
    return answer_to(visitor, visitor.page.get_by_role("button").click)


def tell(house, chromium):
    """Tries all of them."""
    people, evil = site_map.People(house, chromium), Evil()
    all_forms = forms(people, house)
    somebody_elses = dict(all_forms["/account/password"][2])["form_token"]
    for action, (visitor, url, fields) in all_forms.items():
        visitor.hosts |= {f"127.0.0.1:{evil.port}", f"localhost:{evil.port}"}
        visitor.page.goto(url)
        is_refused(visitor, answer_to(visitor, lambda: visitor.page.evaluate(STRIPPED, action)), f"{action} without a token")
        address = house["console"] + action
        answer = from_elsewhere(visitor, evil, "127.0.0.1", address, fields)
        is_refused(visitor, answer, f"{action} from another port")
        # Cookies are not sent along from another host: whoever they are, they are not signed in.
        from_elsewhere(visitor, evil, "localhost", address, fields)
        refused = visitor.page.get_by_role("heading", name="This form is no longer valid")
        expect(refused.or_(visitor.page.get_by_role("heading", name="Sign in", exact=True))).to_be_visible()
    member = people.known[site_map.MEMBER]
    member.go("/account")
    wrong = f"document.querySelector('[action=\"/account/tokens\"] [name=form_token]').value = '{somebody_elses}'"
    member.page.evaluate(wrong)
    member.page.locator("form[action='/account/tokens'] [name=name]").fill("forged")
    sent = answer_to(member, member.page.get_by_role("button", name="Create token").click)
    is_refused(member, sent, "with the token of somebody else")
    return sorted(all_forms)


run(tell)
