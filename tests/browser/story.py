"""The specification's whole story, as one person lives it in a browser.

They sign in, issue a key in each tab, copy it and call with it, see usage rise, reissue it and delete it; every call goes
through a real Envoy. Whoever else's keys are none of theirs they neither see nor reach.

Input: `console` and `gateway`, the addresses; `name` and `password`; `paths`, of an API of each kind; `others`, keys that
are not for them: `id` and `name`; `absent`, what their menu does not have. It fails where a page or the gateway does not
do what the story says, and where a refusal takes longer than the receipt on the page says.
"""

import re
import sys

from browser import run, until
from caller import paste, status, statuses
from playwright.sync_api import expect

# How long usage may take until a page shows it, in seconds.
USAGE_PATIENCE = 60


class Story:
    """One person, before the console."""

    def __init__(self, house, chromium):
        self.house = house
        self.gateway = house["gateway"]
        self.visitor = chromium.visitor(house["console"])
        self.page = self.visitor.page

    def press(self, name):
        """Presses what is called so, button or link."""
        pressed = self.page.get_by_role("button", name=name, exact=True)
        self.page.locator("main").get_by_role("link", name=name, exact=True).or_(pressed).first.click()

    def copied(self):
        """The secret on the page, by its button, once the page says that it holds on every worker."""
        secret = self.visitor.copy(self.page.get_by_role("button", name="Copy", exact=True))
        assert secret == self.page.get_by_label("Your API key").input_value()
        self.enforced()
        return secret

    def enforced(self):
        """Waits until the receipt on the page is complete."""
        expect(self.page.locator(".receipt.good")).to_contain_text(re.compile(r"Enforced by (\d+) of \1 workers"))

    def issue(self, kind, name):
        """Issues a key in a tab, and returns its secret and its page."""
        self.visitor.go("/keys")
        self.page.get_by_role("navigation", name="Kind of key").get_by_role("link", name=kind).click()
        self.press("Issue key")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(f"Issue a {kind.lower()} key")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("30 days").check()
        if kind == "Dedicated":
            self.page.get_by_label("Limit calls with this key").check()
        self.press("Issue key")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(f"Key issued: {name}")
        return self.copied()

    def call_as_told(self, path):
        """Calls by what the page offers to copy; how many calls that were."""
        for program, name in [(["sh", "-c"], "Copy curl"), ([sys.executable, "-c"], "Copy OpenAI client for Python")]:
            snippet = self.visitor.copy(self.page.get_by_role("button", name=name, exact=True))
            assert f"{self.gateway}{path}" in snippet, snippet
            assert "hello" in paste(program, snippet)
        return 2

    def leave(self):
        """Leaves the page with the secret for the key's own page, which does not have it; returns where that is."""
        secret = self.page.get_by_label("Your API key").input_value()
        self.press("Done, I have saved it")
        expect(self.page.get_by_text("This month")).to_be_visible()
        assert secret not in self.page.content()
        return self.page.url

    def used(self, place, calls):
        """Waits until the page of a key says that so many calls were made, which it must not exceed."""

        def is_so():
            self.page.goto(place)
            tile = self.page.locator(".tiles > div").filter(has=self.page.get_by_text("Calls", exact=True))
            shown = int(tile.locator("dd").inner_text().replace(",", ""))
            assert shown <= calls, f"{shown} calls are shown, and there were {calls}"
            return shown == calls

        until(f"{place} shows {calls} calls", is_so, USAGE_PATIENCE)

    def row(self, name):
        """The row of a key in the list."""
        return self.page.get_by_role("row").filter(has=self.page.get_by_role("link", name=name, exact=True))

    def live(self, kind):
        """The life of a key of a kind, from its first call to its last."""
        path, name = self.house["paths"][kind], f"{kind.lower()} key of {self.house['name']}"
        other = self.house["paths"]["Dedicated" if kind == "Serverless" else "Serverless"]
        secret = self.issue(kind, name)
        calls = self.call_as_told(path)
        assert set(statuses(self.gateway, f"{path}/models", secret)) == {200}
        calls += len(statuses(self.gateway, f"{path}/models", secret)) * 2
        assert status(self.gateway, f"{other}/models", secret) == 403, "a key opens APIs of its own kind only"
        place = self.leave()
        self.used(place, calls)

        self.visitor.go(f"/keys?kind={kind.lower()}")
        expect(self.row(name)).to_contain_text(self.house["name"])
        expect(self.row(name)).not_to_contain_text("Never")
        self.row(name).get_by_role("link", name=f"Reissue {name}").click()
        self.press(f"Reissue {name}")
        expect(self.page.get_by_role("heading", level=1)).to_have_text(f"Key reissued: {name}")
        new = self.copied()
        assert set(statuses(self.gateway, f"{path}/models", secret)) == {401}, "the old secret is dead"
        assert set(statuses(self.gateway, f"{path}/models", new)) == {200}, "the new one works"
        assert self.leave() == place, "it is the same key"

        self.visitor.go(f"/keys?kind={kind.lower()}")
        self.row(name).get_by_role("link", name=f"Delete {name}").click()
        self.press(f"Delete {name}")
        self.enforced()
        assert set(statuses(self.gateway, f"{path}/models", new)) == {401}, "a deleted key is refused"
        self.visitor.go(f"/keys?kind={kind.lower()}")
        expect(self.row(name)).to_have_count(0)
        self.visitor.check()

    def see_nothing_of_others(self):
        """Looks for what is not for them to see."""
        for kind in ["serverless", "dedicated"]:
            for other in self.house["others"]:
                self.visitor.go(f"/keys?kind={kind}")
                expect(self.page.get_by_text(other["name"])).to_have_count(0)
                self.visitor.go(f"/keys?kind={kind}&status=active&q={other['name']}")
                expect(self.page.get_by_text("No key matches.")).to_be_visible()
        for other in self.house["others"]:
            for what in ["", "/change", "/reissue", "/delete"]:
                self.visitor.go(f"/keys/{other['id']}{what}", expected=404)
                assert other["name"] not in self.page.content()
        self.visitor.go("/keys")
        menu = self.page.get_by_role("navigation", name="Main")
        for section in self.house["absent"]:
            expect(menu.get_by_role("link", name=section, exact=True)).to_have_count(0)

    def leave_the_console(self):
        """Signs out; nothing opens any more."""
        cookies = self.visitor.context.cookies()
        self.visitor.go("/keys")
        self.press("Sign out")
        expect(self.page).to_have_url(f"{self.house['console']}/sign-in")
        self.visitor.context.add_cookies(cookies)
        self.visitor.go("/keys")
        expect(self.page.get_by_role("heading", level=1)).to_have_text("Sign in")


def tell(house, chromium):
    """Tells the story."""
    story = Story(house, chromium)
    story.visitor.sign_in(house["name"], house["password"])
    story.live("Serverless")
    story.live("Dedicated")
    story.see_nothing_of_others()
    story.leave_the_console()


run(tell)
