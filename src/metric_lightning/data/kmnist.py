"""Kuzushiji-MNIST."""

from torchvision import datasets

from metric_lightning.data.idx_data_module import IDXDataModule


class KMNIST(IDXDataModule):
    """Cursive Japanese characters, 28x28: 60,000 for training, 10,000 for test.

    Arguments: `IDXDataModule`.

    References:
        Clanuwat et al. Deep Learning for Classical Japanese Literature. 2018.

    Example:
        >>> KMNIST().class_names[0]
        'o'
    """

    names = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]
    mean = 0.1918
    std = 0.3483
    source = datasets.KMNIST
    system_folder = "kmnist"
