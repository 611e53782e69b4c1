"""A browser that runs no script: signing in, issuing a key, calling with it and deleting it work without.

Input: `console` and `gateway`; `name` and `password`; `path`, of an API. It fails where a page needs a script, and where a
receipt that says a key is refused is wrong.
"""

from browser import run, until
from caller import statuses
from playwright.sync_api import expect


def tell(house, chromium):
    """Does all of it."""
    visitor = chromium.visitor(house["console"], has_script=False)
    page = visitor.page

    def followed():
        """Follows the receipt on the page, by its link, until it is complete."""

        def is_complete():
            if page.locator(".receipt.good").count():
                return True
            page.get_by_role("link", name="Look again").click()
            return False

        until("the receipt is complete", is_complete)

    visitor.sign_in(house["name"], house["password"])
    page.get_by_role("link", name="Issue key", exact=True).click()
    page.get_by_label("Name", exact=True).fill(" ")
    page.get_by_role("button", name="Issue key").click()
    expect(page.locator("#name-error")).to_be_visible()
    page.get_by_label("Name", exact=True).fill("without script")
    page.get_by_role("button", name="Issue key").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Key issued: without script")
    # What does nothing without script is not there.
    expect(page.get_by_role("button", name="Copy")).to_have_count(0)
    secret = page.get_by_label("Your API key").input_value()
    key = page.get_by_role("link", name="Done, I have saved it").get_attribute("href")
    followed()
    assert set(statuses(house["gateway"], house["path"], secret)) == {200}

    visitor.go("/keys")
    row = page.get_by_role("row").filter(has_text="without script")
    expect(row.get_by_role("cell").filter(has=page.locator("time")).first).to_be_visible()
    row.get_by_role("link", name="Delete without script").click()
    page.get_by_role("button", name="Delete without script").click()
    followed()
    assert set(statuses(house["gateway"], house["path"], secret)) == {401}
    visitor.go(key)
    expect(page.get_by_text("Deleted", exact=True)).to_be_visible()
    expect(page.locator("time").first).to_contain_text("UTC")

    visitor.go("/keys")
    page.get_by_label("Name or value").fill("nothing is called so")
    page.get_by_role("button", name="Search").click()
    expect(page.get_by_text("No key matches.")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


run(tell)
