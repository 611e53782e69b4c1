"""A picture of every page that is worth one: light, dark, and as wide as a phone.

Input: `console`; `password`; `places`, which the paths name; `list`, the name of one of site_map.py; `folder`, where the
pictures go. Names are those of the pages with `light`, `dark` or `narrow`. It prints how many bytes each has, and fails
where a page does what no page may.
"""

import io
from pathlib import Path

import site_map
from browser import NARROW, WIDE, run
from PIL import Image

LOOKS = [("light", "light", WIDE), ("dark", "dark", WIDE), ("narrow", "light", NARROW)]
# A page on a phone is shown as a whole, unless it is longer than this.
HEIGHT_MAX = 1400
# Pages have few colours; edges of letters have shades of them. Those that take more than this share of a picture are kept
# as they are, or the red of a link would be lost among the shades of black.
COLOURS = 48
SHARE_MIN = 0.0002


def small(png):
    """The same picture with a palette."""
    picture = Image.open(io.BytesIO(png)).convert("RGB")
    least = SHARE_MIN * picture.width * picture.height
    counted = sorted(picture.getcolors(picture.width * picture.height), reverse=True)[:COLOURS]
    kept = [channel for count, colour in counted if count >= least for channel in colour]
    shades = max(COLOURS - len(kept) // 3, 1)
    covering = picture.quantize(shades, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE).getpalette()
    palette = Image.new("P", (1, 1))
    palette.putpalette(kept + covering[: 3 * shades])
    written = io.BytesIO()
    picture.quantize(palette=palette, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return written.getvalue()


def picture(tab, size):
    """What is to be seen on a screen of this size."""
    tab.set_viewport_size(size)
    if size is WIDE:
        return tab.screenshot(animations="disabled")
    height = min(tab.evaluate("document.documentElement.scrollHeight"), HEIGHT_MAX)
    return tab.screenshot(animations="disabled", full_page=True, clip={"x": 0, "y": 0, **size, "height": height})


def tell(house, chromium):
    """Takes all of them."""
    folder = Path(house["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    people = site_map.People(house, chromium)
    taken = {}
    for page in getattr(site_map, house["list"]):
        if not page.is_shown:
            continue
        visitor = people.of(page)
        page.visit(visitor, house["places"])
        for look, scheme, size in LOOKS:
            visitor.page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            png = small(picture(visitor.page, size))
            (folder / f"{page.name}.{look}.png").write_bytes(png)
            taken[f"{page.name}.{look}"] = len(png)
        visitor.page.set_viewport_size(WIDE)
    return taken


run(tell)
