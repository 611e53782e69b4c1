"""Every page of the console in every state: where it is, who looks at it, and what leads to it.

A path names things of the house in braces, by what the harness calls them (tests/harness/office.rs). Where a state is not
a matter of the address, `act` leads to it from there. It fails where what it presses or fills in is not there.
"""

from dataclasses import dataclass
from typing import Callable

from playwright.sync_api import Page as Tab

# Nobody is signed in; the others are people of the house.
NOBODY, MEMBER, NEWCOMER, ADMIN, OPERATOR = "", "ada", "nina", "grace", "olga"


@dataclass
class Page:
    """A page in a state. Its name is that of its pictures too."""

    name: str
    path: str
    who: str = OPERATOR
    act: Callable[[Tab], None] | None = None
    status: int = 200
    # Whether there are pictures of it.
    is_shown: bool = False

    def visit(self, visitor, places):
        """Goes there, as somebody who is signed in if that is asked for."""
        visitor.go(self.path.format(**places), self.status)
        if self.act:
            visitor.bytes = 0
            with visitor.page.expect_navigation():
                self.act(visitor.page)


def send(form, **fields):
    """Unfolds and fills in a form, which is found by a part of its action, and sends it by its last button."""

    def act(tab):
        found = tab.locator(f"main form[action*='{form}']").first
        for folded in found.locator("details:not([open]) > summary").all():
            folded.click()
        for name, text in fields.items():
            found.locator(f"[name={name}]").first.fill(text)
        found.locator("button[type=submit]:visible").last.click()

    return act


def unfold_and_send(form, **fields):
    """The same for a form that is folded away."""

    def act(tab):
        tab.locator("details > summary").first.click()
        send(form, **fields)(tab)

    return act


PAGES = [
    Page("sign-in", "/sign-in", NOBODY, is_shown=True),
    Page("sign-in.wrong", "/sign-in", NOBODY, send("/sign-in", name="ada", password="not the password")),
    Page("sign-in.token", "/sign-in", NOBODY, unfold_and_send("/sign-in/token", token="not-a-token")),
    Page("keys", "/keys", ADMIN, is_shown=True),
    Page("keys.dedicated", "/keys?kind=dedicated", ADMIN),
    Page("keys.deleted", "/keys?status=revoked"),
    Page("keys.sorted", "/keys?sort=name&q=e"),
    Page("keys.none", "/keys?q=nothing+is+called+so"),
    Page("keys.first", "/keys", NEWCOMER, is_shown=True),
    Page("keys.member", "/keys", MEMBER),
    Page("key.issue", "/keys/issue", ADMIN, is_shown=True),
    Page("key.issue.dedicated", "/keys/issue?kind=dedicated"),
    Page("key.issue.member", "/keys/issue", MEMBER),
    Page("key.issue.wrong", "/keys/issue", ADMIN, send("/keys/issue", name=" ")),
    Page("key.issued", "/keys/issue", ADMIN, send("/keys/issue", name="image captions"), is_shown=True),
    Page("key", "/keys/{key}", ADMIN, is_shown=True),
    Page("key.dedicated", "/keys/{dedicated}", ADMIN),
    Page("key.expired", "/keys/{expired}"),
    Page("key.deleted", "/keys/{deleted}"),
    Page("key.over", "/keys/{over}"),
    Page("key.changed", "/keys/{key}/change", ADMIN, send("/change", name="support assistant")),
    Page("key.change", "/keys/{dedicated}/change", ADMIN),
    Page("key.change.wrong", "/keys/{key}/change", ADMIN, send("/change", name=" ")),
    Page("key.reissue", "/keys/{key}/reissue", ADMIN, is_shown=True),
    Page("key.reissued", "/keys/{reissued}/reissue", ADMIN, send("/reissue")),
    Page("key.delete", "/keys/{key}/delete", ADMIN, is_shown=True),
    Page("receipt", "/receipts/{revision}"),
    Page("apis", "/apis", is_shown=True),
    Page("apis.member", "/apis", MEMBER),
    Page("api", "/apis/{api}", is_shown=True),
    Page("api.admin", "/apis/{dedicated_api}", ADMIN),
    Page("api.member", "/apis/{api}", MEMBER),
    Page("api.new", "/apis/new"),
    Page("api.new.wrong", "/apis/new", act=send("/apis/new", name=" ", path_prefix="v1", limit="many")),
    Page("api.delete", "/apis/{api}/delete"),
    Page("usage", "/usage", ADMIN, is_shown=True),
    Page("usage.user", "/usage?by=user&show=tokens", ADMIN),
    Page("usage.api", "/usage?by=api&show=cost&range=7d", MEMBER),
    Page("usage.organization", "/usage?by=organization&range=24h"),
    Page("usage.key", "/usage?key={key}&by=day"),
    Page("usage.none", "/usage?range=custom&from=2020-01-01&to=2020-01-02", ADMIN),
    Page("usage.wrong", "/usage?range=custom&from=2020-02-30&to=x", status=422),
    Page("advice", "/advice", ADMIN, is_shown=True),
    Page("advice.none", "/advice?reason=expiring", NEWCOMER),
    Page("members", "/members", ADMIN, is_shown=True),
    Page("members.operator", "/members"),
    Page("member", "/members/{member}", ADMIN),
    Page("member.new", "/members/new"),
    Page("member.new.wrong", "/members/new", act=send("/members/new", name=" ", password="short")),
    Page("member.delete", "/members/{member}/delete", ADMIN),
    Page("organizations", "/organizations", is_shown=True),
    Page("organization", "/organizations/{organization}"),
    Page("organization.new", "/organizations/new"),
    Page("organization.new.wrong", "/organizations/new", act=send("/organizations/new", name=" ")),
    Page("organization.delete", "/organizations/{organization}/delete"),
    Page("gateways", "/gateways", is_shown=True),
    Page("gateway", "/gateways/{gateway}", is_shown=True),
    Page("gateway.idle", "/gateways/{idle}"),
    Page("gateway.new", "/gateways/new"),
    Page("gateway.new.wrong", "/gateways/new", act=send("/gateways/new", name=" ", max_staleness="1")),
    Page("gateway.change", "/gateways/{gateway}/change"),
    Page("gateway.reissue", "/gateways/{idle}/reissue"),
    Page("gateway.reissued", "/gateways/{idle}/reissue", act=send("/reissue")),
    Page("gateway.delete", "/gateways/{idle}/delete"),
    Page("audit", "/audit", ADMIN, is_shown=True),
    Page("audit.refused", "/audit?outcome=refused"),
    Page("audit.none", "/audit?subject=key_0000000000000"),
    Page("account", "/account", ADMIN, is_shown=True),
    Page("account.wrong", "/account", MEMBER, send("/account/tokens", name=" ")),
    Page("account.password", "/account", MEMBER, send("/account/password", current_password="x", password="short")),
    Page("account.token", "/account", MEMBER, send("/account/tokens", name="deployments")),
    Page("not-found", "/keys/key_0000000000000", MEMBER, status=404),
]

# Once a gateway does not answer any more.
AFTERMATH = [
    Page("receipt.pending", "/receipts/{pending}", is_shown=True),
    Page("key.pending", "/keys/{gone}?done=deleted&revision={pending}"),
    Page("gateway.lost", "/gateways/{lost}"),
]


class People:
    """Whoever looks at pages, each signed in once."""

    def __init__(self, house, chromium, **options):
        self.house, self.chromium, self.options = house, chromium, options
        self.known = {}

    def of(self, page):
        """The one who looks at a page."""
        visitor = self.known.get(page.who)
        if visitor is None:
            visitor = self.known[page.who] = self.chromium.visitor(self.house["console"], **self.options)
            if page.who:
                name = self.house.get("names", {}).get(page.who, page.who)
                visitor.sign_in(name, self.house["password"])
        return visitor
