"""Stanford Online Products."""

from pathlib import Path

from metric_lightning.data.image_file_data_module import ImageFileDataModule, Index, Listed, lines_of


class StanfordOnlineProducts(ImageFileDataModule):
    """120,053 pictures of 22,634 products; 11,318 train, the others test. Arguments: `ImageFileDataModule`.

    Files: `Ebay_train.txt`, `Ebay_test.txt`, and the folders `bicycle_final/` and so on. There are no boxes. A class is
    named after its kind and number, "bicycle/1".

    References:
        Oh Song et al. Deep Metric Learning via Lifted Structured Feature Embedding. CVPR 2016.
    """

    title = "Stanford Online Products"
    folders = ["Stanford_Online_Products"]
    marker = ["Ebay_train.txt"]
    source = "https://cvgl.stanford.edu/projects/lifted_struct"

    def read(self, root: Path, boxes: bool) -> Index:
        number_of: dict[str, int] = {}
        listed, test = Listed([], [], []), set()
        for part in ("train", "test"):
            for _, product, _, path in lines_of(root / f"Ebay_{part}.txt")[1:]:  # under a line of headings
                name = f"{path.split('/')[0].removesuffix('_final')}/{product}"
                listed.paths.append(root / path)
                listed.labels.append(number_of.setdefault(name, len(number_of)))
                if part == "test":
                    test.add(number_of[name])
        return Index(list(number_of), sorted(test), listed)
