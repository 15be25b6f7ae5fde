"""A checkpoint is enough: the pretrained weights that its run began with may be gone."""

from pathlib import Path

import pytest
import torch
from torchvision.models import get_model

from metric_lightning.cli import main
from metric_lightning.modules import EmbeddingModule
from metric_lightning.networks import TorchvisionBackbone

CONFIG = """
seed_everything: 0
data:
  class_path: metric_lightning.data.Digits
  init_args:
    batches: {class_path: metric_lightning.data.BalancedBatches, init_args: {n_classes: 4, n_samples: 2}}
model:
  class_path: metric_lightning.modules.EmbeddingModule
  init_args:
    network:
      class_path: metric_lightning.networks.TorchvisionBackbone
      init_args: {name: resnet18, weights: pretrained.pt, embedding_dim: 4}
    loss: {class_path: metric_lightning.losses.TripletMarginLoss}
trainer:
  max_epochs: 1
  limit_train_batches: 1
  limit_val_batches: 1
  limit_test_batches: 1
  accelerator: cpu
  enable_progress_bar: false
  enable_model_summary: false
default_callbacks: false
"""


@pytest.mark.filterwarnings("ignore::UserWarning:lightning.*", "ignore::DeprecationWarning")
def test_a_checkpoint_is_loaded_without_the_pretrained_weights(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("backbone.yaml").write_text(CONFIG)
    torch.save(get_model("resnet18").state_dict(), "pretrained.pt")
    main(["fit", "--config", "backbone.yaml"])
    Path("pretrained.pt").unlink()
    with pytest.raises(ValueError, match="weights='pretrained.pt' is neither a file nor a name"):
        TorchvisionBackbone("resnet18", "pretrained.pt", input_shape=(1, 8, 8))

    checkpoint = Path("lightning_logs/backbone/version_0/checkpoints/last.ckpt")
    module = EmbeddingModule.load_from_checkpoint(checkpoint)
    saved = torch.load(checkpoint, weights_only=True)["state_dict"]
    assert all(torch.equal(value, saved[name]) for name, value in module.state_dict().items())
    with pytest.raises(TypeError, match="cannot be called on an instance"):
        module.load_from_checkpoint(checkpoint)

    main(["test", "--ckpt_path", str(checkpoint)])
    assert "precision_at_1" in capsys.readouterr().out
    main(["fit", "--config", "backbone.yaml", "--ckpt_path", "last", "--trainer.max_epochs", "2"])
    assert torch.load(checkpoint, weights_only=True)["global_step"] == 2
