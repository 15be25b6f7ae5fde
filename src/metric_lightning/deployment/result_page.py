"""What a search has found, to look at: one HTML file that needs nothing else, or a picture."""

import base64
import html
import io
from collections.abc import Callable, Sequence
from pathlib import Path

from PIL import Image, ImageOps
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor

from metric_lightning.data.pictures import open_picture
from metric_lightning.deployment.embedder import Match
from metric_lightning.errors import UserError
from metric_lightning.files import write_atomically
from metric_lightning.plots.canvas import pixels, png
from metric_lightning.plots.gallery import Picture, gallery_figure
from metric_lightning.plots.palette import BLUE, VERMILION
from metric_lightning.printable import printable

Found = Sequence[tuple[str, Sequence[Match]]]
_SIDE = 160  # pixels of the longer side of a picture on the page
_MOST_ROWS = 50  # of a picture; a page has all

_STYLE = f"""
body {{ font: 14px/1.35 system-ui, sans-serif; margin: 1.5rem; color: #222; background: #fff; }}
section {{ display: flex; flex-wrap: wrap; gap: .75rem; padding: .9rem 0; border-top: 1px solid #ccc; }}
figure {{ margin: 0; width: {_SIDE + 16}px; overflow-wrap: anywhere; }}
img, .gone {{ max-width: {_SIDE}px; border: 4px solid #bbb; display: block; min-width: 64px; image-rendering: auto; }}
.gone {{ width: {_SIDE - 16}px; padding: 2rem .4rem; box-sizing: border-box; color: #555; }}
.same img {{ border-color: {BLUE}; }}
.different img {{ border: 4px dashed {VERMILION}; }}
.query img {{ border-color: #222; }}
small {{ color: #555; }}
"""


def page_writer_of(path: Path) -> Callable[[Path, Found, float | None], None]:
    """Return what writes results to such a file, by its suffix.

    Raises:
        UserError: another suffix than .html and .png.
    """
    writers = {".html": write_html, ".htm": write_html, ".png": write_picture}
    if path.suffix.lower() not in writers:
        raise UserError(f"{path} must end in .html or .png, which say what is written")
    return writers[path.suffix.lower()]


def write_html(path: Path, found: Found, threshold: float | None) -> None:
    """Write a page: each query with its matches; framed in solid blue what counts as the same, dashed what doesn't.

    Names are escaped, pictures are part of the file, and there is no script.
    """
    sections = "\n".join(
        f"<section>\n{_figure('query', query, 'query')}\n{''.join(_card(*item) for item in enumerate(matches, 1))}"
        "</section>"
        for query, matches in found
    )
    page = (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>Search results</title>\n'
        f"<style>{_STYLE}</style>\n</head>\n<body>\n<h1>Nearest pictures</h1>\n"
        f"<p>{html.escape(_legend(threshold))}</p>\n"
        f"{sections}\n</body>\n</html>\n"
    )
    write_atomically(path, page)


def write_picture(path: Path, found: Found, threshold: float | None) -> None:
    """Write the same as a PNG, a row for each of the first 50 queries."""
    rows = [
        [Picture(_square(query), Path(query).name[:16])]
        + [Picture(_square(match.path), _caption(match), match.same) for match in matches]
        for query, matches in found[:_MOST_ROWS]
    ]
    columns = ["query", *(str(rank) for rank in range(1, max(len(row) for row in rows)))]
    write_atomically(path, png(pixels(gallery_figure(rows, columns, "Nearest pictures, and their distance"))))


def _legend(threshold: float | None) -> str:
    if threshold is None:
        return "Distances are below the pictures. The checkpoint holds no threshold to tell same from different by."
    return (
        "Distances are below the pictures. Solid blue: the same as the query by the checkpoint's threshold "
        f"(distance at most {threshold:.4g}); dashed: different. In brackets: how likely it is the same."
    )


def _card(rank: int, match: Match) -> str:
    kind = "match" if match.same is None else "same" if match.same else "different"
    told = "" if match.probability is None else f", {kind} ({match.probability:.0%})"
    label = f"<b>{html.escape(printable(match.label))}</b><br>" if match.label else ""
    return _figure(kind, match.path, f"{rank}. distance {match.distance:.4f}{told}", label)


def _figure(kind: str, path: str, text: str, label: str = "") -> str:
    name = html.escape(printable(path))
    return (
        f'<figure class="{kind}">{_image(path, name)}<figcaption>{label}{html.escape(text)}<br>'
        f"<small>{name}</small></figcaption></figure>\n"
    )


def _image(path: str, name: str) -> str:
    try:
        picture = open_picture(path)
    except UserError:  # the files may have moved since the index was built: distances are right all the same
        return '<div class="gone">can\'t be read any more</div>'
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, format="PNG" if max(picture.size) <= 64 else "JPEG", quality=85)
    kind = "png" if max(picture.size) <= 64 else "jpeg"
    return f'<img src="data:image/{kind};base64,{base64.b64encode(content.getvalue()).decode()}" alt="{name}">'


def _caption(match: Match) -> str:
    label = match.label if len(match.label) <= 12 else match.label[:11] + "…"
    return f"{label}: {match.distance:.3f}" if label else f"{match.distance:.3f}"


def _square(path: str) -> Tensor:
    try:
        picture = open_picture(path)
    except UserError:
        picture = Image.new("RGB", (_SIDE, _SIDE), "#dddddd")
    return pil_to_tensor(ImageOps.pad(picture, (_SIDE, _SIDE), color="white"))
