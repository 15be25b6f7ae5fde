"""Cars196: Stanford's cars."""

from pathlib import Path
from typing import Any

import numpy as np
from scipy.io import loadmat

from metric_lightning.data.image_file_data_module import ImageFileDataModule, Index, Listed
from metric_lightning.errors import UserError

_CORNERS = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")


class Cars196(ImageFileDataModule):
    """16,185 pictures of 196 models of cars; the first 98 train, the others test. Arguments: `ImageFileDataModule`.

    Files: `cars_annos.mat` and `car_ims/`; or, as torchvision lays them out in `stanford_cars/`, `cars_train/`,
    `cars_test/`, `cars_test_annos_withlabels.mat` and in `devkit/` `cars_meta.mat` and `cars_train_annos.mat`. Both
    parts of the latter are taken together: their own division is not by class.

    References:
        Krause et al. 3D Object Representations for Fine-Grained Categorization. 2013. The split by class: Oh Song et
        al. Deep Metric Learning via Lifted Structured Feature Embedding. CVPR 2016.
    """

    title = "Cars196"
    folders = ["cars196", "stanford_cars"]
    marker = ["cars_annos.mat", "devkit/cars_meta.mat"]
    source = "https://ai.stanford.edu/~jkrause/cars/car_dataset.html"

    def read(self, root: Path, boxes: bool) -> Index:
        whole = root / "cars_annos.mat"
        if whole.is_file():
            content = _content(whole)
            names, found = content["class_names"], [(root, "relative_im_path", content["annotations"])]
        else:
            names = _content(root / "devkit/cars_meta.mat")["class_names"]
            files = {"cars_train": "devkit/cars_train_annos.mat", "cars_test": "cars_test_annos_withlabels.mat"}
            found = [(root / part, "fname", _content(root / name)["annotations"]) for part, name in files.items()]
        listed = Listed([], [], [])
        for folder, path, entries in found:
            for entry in np.atleast_1d(entries):
                listed.paths.append(folder / str(entry[path]))
                listed.labels.append(int(entry["class"]) - 1)
                if boxes:
                    left, top, right, bottom = (float(entry[corner]) for corner in _CORNERS)
                    listed.boxes.append((left - 1, top - 1, right, bottom))  # Matlab counts from 1
        class_names = [str(name) for name in np.atleast_1d(names)]
        return Index(class_names, list(range(len(class_names) // 2, len(class_names))), listed)


def _content(path: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = loadmat(path, squeeze_me=True)
    except Exception as error:  # scipy raises many kinds for a damaged file
        raise UserError(f"{path} can't be read ({error}); unpack the data again") from error
    return content
