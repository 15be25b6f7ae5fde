"""Fashion-MNIST."""

from torchvision import datasets

from metric_lightning.data.idx_data_module import IDXDataModule


class FashionMNIST(IDXDataModule):
    """Clothes, 28x28: 60,000 for training, 10,000 for test. Arguments: `IDXDataModule`.

    Debian and Ubuntu have the files in a package: `apt install dataset-fashion-mnist`.

    References:
        Xiao, Rasul, Vollgraf. Fashion-MNIST: a Novel Image Dataset for Benchmarking Machine
        Learning Algorithms. 2017.

    Example:
        >>> from metric_lightning.data import ClassSplit
        >>> FashionMNIST(split=ClassSplit(train_classes=["Coat", "Bag"])).class_names[:3]
        ['Coat', 'Bag', 'T-shirt/top']
    """

    names = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]
    mean = 0.2860
    std = 0.3530
    source = datasets.FashionMNIST
    system_folder = "fashion-mnist"
    hint = " (Debian and Ubuntu: apt install dataset-fashion-mnist)"
