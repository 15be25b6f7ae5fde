"""MNIST."""

from torchvision import datasets

from metric_lightning.data.idx_data_module import IDXDataModule


class MNIST(IDXDataModule):
    """Handwritten digits, 28x28: 60,000 for training, 10,000 for test. Arguments: `IDXDataModule`.

    References:
        LeCun, Bottou, Bengio, Haffner. Gradient-Based Learning Applied to Document Recognition.
        Proceedings of the IEEE, 1998.

    Example:
        >>> data = MNIST()
        >>> data.num_classes, data.input_shape
        (10, (1, 28, 28))
    """

    names = [str(digit) for digit in range(10)]
    mean = 0.1307
    std = 0.3081
    source = datasets.MNIST
    system_folder = "mnist"
