"""Script in everything that people name, and on every page that shows it: it stays text.

Input: `console`; `password`; `places`; `names`, what people of site_map.py are really called; `typed`, everything that was
named. It fails where a page runs anything, reports a violation, has an element that is none of the console's, or is wider
than the screen; and where a name is on no page as it was typed.
"""

import urllib.parse

import site_map
from browser import NARROW, WIDE, run
from site_map import OPERATOR, Page, send

SCRIPT = "\"'--></title></textarea><script>alert(1)</script><img src=x onerror=alert(2)>"

# Addresses that say something which a page may repeat.
ADDRESSES = [
    "/keys?q={0}",
    "/keys?sort={0}",
    "/keys?status={0}&kind={0}",
    "/keys?cursor={0}",
    "/keys/{0}",
    "/keys/{0}/delete",
    "/receipts/{0}",
    "/sign-in?next={0}",
    "/apis/{0}",
    "/usage?key={0}",
    "/usage?range=custom&from={0}&to={0}",
    "/usage?by={0}&show={0}",
    "/advice?reason={0}",
    "/members/{0}",
    "/organizations/{0}",
    "/gateways/{0}",
    "/audit?subject={0}",
    "/audit?action={0}&from={0}&to={0}",
    "/account?done={0}",
    "/nothing/{0}",
]

# Forms that come back with what was typed.
FORMS = [
    Page("key", "/keys/issue", OPERATOR, send("/keys/issue", name=SCRIPT * 2)),
    Page("api", "/apis/new", OPERATOR, send("/apis/new", name=SCRIPT, path_prefix=SCRIPT, hosts=SCRIPT, limit=SCRIPT)),
    Page("member", "/members/new", OPERATOR, send("/members/new", name=SCRIPT, password="short")),
    Page("organization", "/organizations/new", OPERATOR, send("/organizations/new", name=SCRIPT, budget_cost=SCRIPT)),
    Page("gateway", "/gateways/new", OPERATOR, send("/gateways/new", name=SCRIPT, max_staleness=SCRIPT)),
]

# Everything that a page says, and what its fields hold.
SAID = """() => [document.title, document.body.textContent,
  ...[...document.querySelectorAll("input, textarea")].map((field) => field.value)].join("\\n")"""


def harm(visitor, what):
    """What ran on the page, or broke it."""
    for size in (WIDE, NARROW):
        visitor.page.set_viewport_size(size)
        more = visitor.page.evaluate("document.documentElement.scrollWidth - innerWidth")
        if more > 0:
            yield f"{what}: {more} pixels wider than {size['width']}"
    visitor.page.set_viewport_size(WIDE)
    if not visitor.page.title().endswith(" · Portcullis"):
        yield f"{what}: its title is {visitor.page.title()}"
    for fault in visitor.foreign() + visitor.faults:
        yield f"{what}: {fault}"
    visitor.faults.clear()


def tell(house, chromium):
    """Looks at everything."""
    people = site_map.People(house, chromium)
    said, wrong = [], []
    for page in site_map.PAGES + FORMS:
        visitor = people.of(page)
        page.visit(visitor, house["places"])
        wrong += harm(visitor, page.name)
        said.append(visitor.page.evaluate(SAID))
    visitor = people.known[OPERATOR]
    for address in ADDRESSES:
        visitor.page.goto(house["console"] + address.format(urllib.parse.quote(SCRIPT, safe="")))
        # What is no page at all is answered by the admin API.
        if "text/html" in visitor.page.evaluate("document.contentType"):
            wrong += harm(visitor, address)
    for text in house["typed"]:
        if not any(text in each for each in said):
            wrong.append(f"on no page as it was typed: {text}")
    assert not wrong, "\n".join(wrong)


run(tell)
