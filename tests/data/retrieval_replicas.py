"""Small replicas of the folders of CUB-200-2011, Cars196, Stanford Online Products and In-shop.

Picture k is filled with the brightness 8 k + 4; its middle, 8 pixels from each side, is 2 darker: that is its box.
"""

from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import savemat

WIDTH, HEIGHT, EDGE = 40, 32, 8
BOX = (EDGE, EDGE, WIDTH - EDGE, HEIGHT - EDGE)  # right and bottom exclusive


def picture(path: Path, k: int) -> None:
    pixels = np.full((HEIGHT, WIDTH, 3), 8 * k + 4, np.uint8)
    pixels[EDGE:-EDGE, EDGE:-EDGE] -= 2
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, format="PNG")  # whatever the name says: PNG keeps values


def brightness(inputs) -> list[int]:
    """Return the k of prepared pictures (n, 3, S, S), by ImageNet's mean and deviation of the first channel."""
    return [round((float(one[0].mean()) * 0.229 + 0.485) * 255) // 8 for one in inputs]


def cub200(folder: Path) -> Path:
    """Four kinds, three pictures each, not in the order of their numbers."""
    root = folder / "CUB_200_2011"
    root.mkdir()
    lines = {"images": [], "image_class_labels": [], "bounding_boxes": []}
    for k in range(12):
        name = f"{k % 4 + 1:03d}.Bird_{k % 4 + 1}/{k}.jpg"
        picture(root / "images" / name, k)
        lines["images"].append(f"{k + 1} {name}")
        lines["image_class_labels"].append(f"{k + 1} {k % 4 + 1}")
        lines["bounding_boxes"].append(f"{k + 1} {EDGE}.0 {EDGE}.0 {WIDTH - 2 * EDGE}.0 {HEIGHT - 2 * EDGE}.0")
    lines["classes"] = [f"{i} {i:03d}.Bird_{i}" for i in range(1, 5)]
    for name, content in lines.items():
        (root / f"{name}.txt").write_text("\n".join(content) + "\n")
    return folder


def _annotations(names: list[str], classes: list[int], path: str, **more: list) -> np.ndarray:
    fields = [("bbox_x1", EDGE + 1), ("bbox_y1", EDGE + 1), ("bbox_x2", WIDTH - EDGE), ("bbox_y2", HEIGHT - EDGE)]
    kinds = [(path, object), *((name, object) for name, _ in fields), ("class", object)]
    found = np.empty((1, len(names)), dtype=kinds)
    for place, (name, label) in enumerate(zip(names, classes, strict=True)):
        found[0, place] = (name, *(value for _, value in fields), label)
    return found


def cars196(folder: Path) -> Path:
    root = folder / "cars196"
    names = [f"car_ims/{k:06d}.jpg" for k in range(12)]
    for k, name in enumerate(names):
        picture(root / name, k)
    entries = _annotations(names, [k % 4 + 1 for k in range(12)], "relative_im_path")
    kinds = np.array([[f"Car {i}" for i in range(1, 5)]], dtype=object)
    savemat(root / "cars_annos.mat", {"annotations": entries, "class_names": kinds})
    return folder


def stanford_cars(folder: Path) -> Path:
    """The same cars as torchvision lays them out."""
    root = folder / "stanford_cars"
    (root / "devkit").mkdir(parents=True)
    kinds = np.array([[f"Car {i}" for i in range(1, 5)]], dtype=object)
    savemat(root / "devkit/cars_meta.mat", {"class_names": kinds})
    for part, file, ks in (
        ("cars_train", "devkit/cars_train_annos.mat", range(6)),
        ("cars_test", "cars_test_annos_withlabels.mat", range(6, 12)),
    ):
        for k in ks:
            picture(root / part / f"{k:05d}.jpg", k)
        entries = _annotations([f"{k:05d}.jpg" for k in ks], [k % 4 + 1 for k in ks], "fname")
        savemat(root / file, {"annotations": entries})
    return folder


def products(folder: Path) -> Path:
    root = folder / "Stanford_Online_Products"
    for part, ks in (("train", range(6)), ("test", range(6, 12))):
        lines = ["image_id class_id super_class_id path"]
        for k in ks:
            path = f"{'bicycle' if k % 2 else 'sofa'}_final/{k}.JPG"
            picture(root / path, k)
            lines.append(f"{k + 1} {k // 3 * 2 + k % 2 + 1} {k % 2 + 1} {path}")
        (root / f"Ebay_{part}.txt").write_text("\n".join(lines) + "\n")
    return folder


def in_shop(folder: Path) -> Path:
    root = folder / "In-shop Clothes Retrieval Benchmark"
    partition, boxes = [], []
    for k in range(12):
        item = f"id_{k % 4 + 1:08d}"
        status = "train" if k % 4 < 2 else ("query" if k < 8 else "gallery")
        name = f"img/WOMEN/Dresses/{item}/{k:02d}_1_front.jpg"
        picture(root / "Img" / name, k)
        partition.append(f"{name:40} {item} {status}")
        boxes.append(f"{name:40} 1 1 {BOX[0]:03d} {BOX[1]:03d} {BOX[2]:03d} {BOX[3]:03d}")
    for path, heading, lines in (
        ("Eval/list_eval_partition.txt", "image_name item_id evaluation_status", partition),
        ("Anno/list_bbox_inshop.txt", "image_name clothes_type pose_type x_1 y_1 x_2 y_2", boxes),
    ):
        (root / path).parent.mkdir(parents=True)
        (root / path).write_text("\n".join(["12", heading, *lines]) + "\n")
    return folder
