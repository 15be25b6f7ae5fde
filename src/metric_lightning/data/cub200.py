"""CUB-200-2011: birds."""

from pathlib import Path

from metric_lightning.data.image_file_data_module import ImageFileDataModule, Index, Listed, lines_of


class CUB200(ImageFileDataModule):
    """11,788 pictures of 200 kinds of birds; the first 100 train, the others test. Arguments: `ImageFileDataModule`.

    Files: `images.txt`, `image_class_labels.txt`, `classes.txt`, `bounding_boxes.txt`, `images/`.

    References:
        Wah et al. The Caltech-UCSD Birds-200-2011 Dataset. 2011. The split by class: Oh Song et al. Deep Metric
        Learning via Lifted Structured Feature Embedding. CVPR 2016.
    """

    title = "CUB-200-2011"
    folders = ["CUB_200_2011"]
    marker = ["images.txt"]
    source = "https://www.vision.caltech.edu/datasets/cub_200_2011"

    def read(self, root: Path, boxes: bool) -> Index:
        names = {number: name for number, name in lines_of(root / "classes.txt")}
        place = {number: place for place, number in enumerate(names)}
        class_of = {image: place[number] for image, number in lines_of(root / "image_class_labels.txt")}
        images = {image: path for image, path in lines_of(root / "images.txt")}
        corners = {}
        for image, *numbers in lines_of(root / "bounding_boxes.txt") if boxes else []:
            left, top, width, height = map(float, numbers)
            corners[image] = (left, top, left + width, top + height)
        listed = Listed(
            [root / "images" / path for path in images.values()],
            [class_of[image] for image in images],
            [corners[image] for image in images] if boxes else [],
        )
        return Index(list(names.values()), list(range(len(names) // 2, len(names))), listed)
