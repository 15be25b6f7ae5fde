"""In-shop clothes of DeepFashion."""

from pathlib import Path

from metric_lightning.data.image_file_data_module import ImageFileDataModule, Index, Listed, lines_of
from metric_lightning.data.image_files import Box
from metric_lightning.errors import UserError


class InShop(ImageFileDataModule):
    """52,712 pictures of 7,982 clothes: 3,997 train; of the others, 14,218 pictures are queries, to be found in a
    gallery of 12,612. Arguments: `ImageFileDataModule`.

    The test part holds the queries; while testing, `gallery_dataloader` gives the gallery. The official figures are
    `RetrievalMetrics(recall_at=(1, 10, 20, 30), search="gallery")`. (Validation has no gallery of its own: list
    `RetrievalMetrics()` before it for the training.)

    Files: `list_eval_partition.txt` (in the folder or in `Eval/`), `img/` (there or in `Img/`), and for boxes
    `list_bbox_inshop.txt` (there or in `Anno/`).

    References:
        Liu et al. DeepFashion: Powering Robust Clothes Recognition and Retrieval with Rich Annotations. CVPR 2016.
    """

    title = "In-shop Clothes Retrieval"
    folders = ["In-shop Clothes Retrieval Benchmark", "In-shop"]
    marker = ["Eval/list_eval_partition.txt", "list_eval_partition.txt"]
    source = "https://mmlab.ie.cuhk.edu.hk/projects/DeepFashion/InShopRetrieval.html"

    def read(self, root: Path, boxes: bool) -> Index:
        (partition,) = (root / name for name in self.marker if (root / name).is_file())
        above = root / "Img" if (root / "Img/img").is_dir() else root
        box_of = _boxes(root) if boxes else {}
        number_of: dict[str, int] = {}
        parts = {status: Listed([], [], []) for status in ("train", "query", "gallery")}
        for path, item, status in lines_of(partition)[2:]:  # under the number of lines and the headings
            listed = parts[status]
            listed.paths.append(above / path)
            listed.labels.append(number_of.setdefault(item, len(number_of)))
            if boxes:
                listed.boxes.append(box_of[path])
        train, query = parts["train"], parts["query"]
        images = Listed(train.paths + query.paths, train.labels + query.labels, train.boxes + query.boxes)
        return Index(list(number_of), sorted({*query.labels, *parts["gallery"].labels}), images, parts["gallery"])


def _boxes(root: Path) -> dict[str, Box]:
    for path in (root / "Anno/list_bbox_inshop.txt", root / "list_bbox_inshop.txt"):
        if path.is_file():
            found = {}
            for name, _, _, *corners in lines_of(path)[2:]:
                left, top, right, bottom = map(float, corners)
                found[name] = (left, top, right, bottom)
            return found
    raise UserError(f"crop_boxes: there is no Anno/list_bbox_inshop.txt in {root}; unpack it there")
