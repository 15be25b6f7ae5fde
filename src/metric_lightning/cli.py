"""The command line: `python -m metric_lightning.cli fit --config X.yaml`, or `metric-lightning fit --config X.yaml`.

Commands: fit, validate, test, predict; data, export, index, search and `report RUN...`, which need no Trainer. `fit`
ends by evaluating its best checkpoint; `fit --data.root photos/` alone chooses settings for a folder of pictures and
writes them down. `data` shows what the data are like, before any training. `test --ckpt_path X` and
`predict --ckpt_path X` need nothing else: a checkpoint holds its configuration. With `--config` too, that one counts.
A config names classes, and so runs code: use those you trust, as you would a program.
"""

import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import Namespace
from lightning.pytorch import Trainer
from lightning.pytorch.cli import LightningCLI

from metric_lightning.callbacks import (
    BestCheckpoint,
    CollapseDiagnosis,
    DataCheck,
    EmbeddingFigures,
    EmbeddingWriter,
    MislabelledCandidates,
    Projector,
    RunSummary,
)
from metric_lightning.checkpoints import MEASURED_WITH, digest_of
from metric_lightning.command_line.arguments import completed, require_text
from metric_lightning.command_line.commands import COMMANDS, add_names, run_command
from metric_lightning.command_line.config_files import read_config, unknown_sections
from metric_lightning.command_line.failures import sentence_of
from metric_lightning.command_line.first_run import FirstConfigFile, FirstRun, as_run, first_run
from metric_lightning.command_line.nothing_left import nothing_left_of_refused
from metric_lightning.command_line.pairs import judge_pairs
from metric_lightning.command_line.parser import OneSentenceParser
from metric_lightning.command_line.quiet import hush
from metric_lightning.command_line.results import print_figures, write_json
from metric_lightning.command_line.run_folder import LOGS, run_folder_of, version_of
from metric_lightning.command_line.saved_config import SaveConfig, as_text, own_logger, without_command
from metric_lightning.command_line.screen import spell_out_what_the_screen_lacks
from metric_lightning.command_line.whole_numbers import whole_numbers_first
from metric_lightning.data import MetricDataModule
from metric_lightning.errors import UserError
from metric_lightning.modules import MetricModule
from metric_lightning.networks import skip_pretrained_weights
from metric_lightning.printable import printable

_TRAINER_DEFAULTS = {
    "max_epochs": 20,
    "log_every_n_steps": 10,
    "num_sanity_val_steps": 1,
    "use_distributed_sampler": False,
}
_CALLBACKS = {
    "checkpoint": BestCheckpoint,
    "summary": RunSummary,
    "data_check": DataCheck,
    "diagnosis": CollapseDiagnosis,
    "figures": EmbeddingFigures,
    "mislabelled": MislabelledCandidates,
    "projector": Projector,
}


class MetricCLI(LightningCLI):
    """LightningCLI with a run's folder, sizes linked from data to model, and default callbacks."""

    def __init__(self, first: FirstRun | None = None) -> None:
        self._first = first
        whole_numbers_first(Trainer.__init__)
        super().__init__(
            MetricModule,
            MetricDataModule,
            subclass_mode_model=True,
            subclass_mode_data=True,
            auto_configure_optimizers=False,
            seed_everything_default=0,
            trainer_defaults=_TRAINER_DEFAULTS,
            save_config_callback=SaveConfig,
            save_config_kwargs={"overwrite": True},
            parser_class=OneSentenceParser,
        )

    def add_arguments_to_parser(self, parser: Any) -> None:
        """Add the experiment's name, the default callbacks and the links from data to model."""
        parser.add_argument(
            "--experiment", type=str, default="default", help="name of the run's folder in lightning_logs/"
        )
        parser.add_argument(
            "--output", type=str | None, default=None, help="predict: file to write, .npz or .parquet (pairs: .csv)"
        )
        parser.add_argument(
            "--pairs", type=str | None, default=None, help="predict: file of pairs to be told same or different"
        )
        parser.add_argument(
            "--default_callbacks",
            type=bool,
            default=True,
            help="false: leave out all default callbacks but the checkpoints: summary, data check, diagnosis, figures, "
            "mislabelled candidates, projector",
        )
        for name, callback in _CALLBACKS.items():
            parser.add_lightning_class_args(callback, name)
        for name in ("num_classes", "input_shape"):
            parser.link_arguments(f"data.{name}", f"model.init_args.{name}", apply_on="instantiate")

    def _add_subcommands(self, parser: Any, **kwargs: Any) -> None:
        super()._add_subcommands(parser, **kwargs)
        add_names(parser._subcommands_action)

    def parse_arguments(self, parser: Any, args: Any) -> None:
        """Parse, and refuse empty sections of the config files that mean nothing."""
        super().parse_arguments(parser, args)
        settings = self.config[self.config.subcommand]
        for name in ("trainer", *_CALLBACKS):
            found = settings.get(name, settings)  # a callback without arguments has no section
            if not isinstance(found, Namespace):
                raise UserError(f"{name!r} must be settings by name; got {'nothing' if found is None else found}")
        for path in settings.config or []:
            if path is not None:  # else it was no file but the settings themselves
                for sentence in unknown_sections(read_config(str(path)), settings):
                    raise UserError(f"--config {path}: {sentence}")

    def _parse_ckpt_path(self) -> None:
        """Leave the configuration as it is: Lightning would let a checkpoint's hyperparameters override it silently."""

    @property
    def _settings(self) -> Namespace:
        return self.config[self.subcommand]

    def before_instantiate_classes(self) -> None:
        """Choose the run's folder: a new version, or, when a run goes on, its own."""
        for name in ("output", "pairs"):
            if self.subcommand != "predict" and self._settings[name] is not None:
                raise UserError(f"--{name} is for predict alone, and {self.subcommand} has no use for it; leave it out")
        trainer = self._settings.trainer
        _require_sound(trainer)
        if self.subcommand != "fit":
            trainer.logger = False
        elif trainer.logger in (None, True):
            experiment = self._settings.experiment
            checkpoint = self._settings.get("ckpt_path")
            version = version_of(Path(checkpoint), experiment) if checkpoint else None
            trainer.logger = own_logger(experiment, version)

    def instantiate_classes(self) -> None:
        """Make data, model and trainer; where a checkpoint will fill the network, no pretrained weights are fetched."""
        with skip_pretrained_weights() if self._settings.get("ckpt_path") else nullcontext():
            super().instantiate_classes()

    def _instantiate_trainer(self, config: Any, callbacks: list[Any]) -> Trainer:
        if config.get("fast_dev_run") or self.subcommand != "fit":
            callbacks = []
        elif not self._settings.default_callbacks:
            callbacks = [callback for callback in callbacks if isinstance(callback, BestCheckpoint)]
        if config.get("enable_checkpointing") is False:
            callbacks = [callback for callback in callbacks if not isinstance(callback, BestCheckpoint)]
        if self._first is not None and not config.get("fast_dev_run"):
            callbacks = [*callbacks, FirstConfigFile(self._first, self._as_run(self._first.chosen.config))]
        return super()._instantiate_trainer(config, callbacks)

    def _as_run(self, chosen: dict[str, Any]) -> dict[str, Any]:
        """Return chosen settings with what the command line has changed."""
        parser = self._parser(self.subcommand)
        texts = (as_text(parser, settings) for settings in (parser.parse_object(chosen), self._settings))
        before, after = (without_command(yaml.safe_load(text)) for text in texts)
        return as_run(chosen, before, after)

    def fit(self, model: Any, datamodule: Any, **options: Any) -> None:
        """Train; a run that is refused leaves nothing behind."""
        with nothing_left_of_refused(self.trainer):
            self.trainer.fit(model, datamodule=datamodule, **options)

    def after_fit(self) -> None:
        """Evaluate the best checkpoint and say where everything is."""
        best = getattr(self.trainer.checkpoint_callback, "best_model_path", "")
        if not best:
            return
        figures = {}
        if self.datamodule.val_dataloader():
            figures["validation"] = self.trainer.validate(ckpt_path=best, datamodule=self.datamodule, verbose=False)[0]
        if self.datamodule.test_dataloader():
            figures["test"] = self.trainer.test(ckpt_path=best, datamodule=self.datamodule, verbose=False)[0]
        folder = self.trainer.log_dir  # a broadcast: every rank must ask
        if self.trainer.is_global_zero:
            print_figures(f"best checkpoint: {printable(best)}", figures)
            print(f"run:         {printable(str(folder))}\nTensorBoard: tensorboard --logdir {LOGS}")

    def validate(self, model: Any, datamodule: Any, ckpt_path: str | None = None, **_: Any) -> None:
        """Evaluate the validation set."""
        self._evaluate("validate", ckpt_path)

    def test(self, model: Any, datamodule: Any, ckpt_path: str | None = None, **_: Any) -> None:
        """Evaluate the test set."""
        self._evaluate("test", ckpt_path)

    def predict(self, model: Any, datamodule: Any, ckpt_path: str | None = None, **_: Any) -> None:
        """Write the embeddings of the prediction set, the test set usually; or with `--pairs` what pairs are."""
        if self._settings.pairs:
            path = Path(self._settings.output or self._folder(ckpt_path) / "pairs.csv")
            file = Path(self._settings.pairs)
            said = judge_pairs(self.trainer, self.model, self.datamodule, file, ckpt_path, path)
            if self.trainer.is_global_zero:
                print(said)
            return
        path = Path(self._settings.output or self._folder(ckpt_path) / "predictions.npz")
        writer = EmbeddingWriter(path)
        self.trainer.callbacks.append(writer)  # type: ignore[attr-defined]
        self.trainer.predict(self.model, datamodule=self.datamodule, ckpt_path=ckpt_path, return_predictions=False)
        writer.require_started()

    def _evaluate(self, command: str, ckpt_path: str | None) -> None:
        run = getattr(self.trainer, command)
        digest = digest_of(ckpt_path)  # before: the file of a run that goes on may be another afterwards
        (figures,) = run(self.model, datamodule=self.datamodule, ckpt_path=ckpt_path, verbose=False)
        if self.trainer.is_global_zero:
            path = self._folder(ckpt_path) / f"{command}.json"
            write_json(path, figures if digest is None else {**figures, MEASURED_WITH: digest})
            print_figures(f"{command}: {ckpt_path or 'untrained'}", {command: figures})
            print(f"written to {printable(path)}")

    def _folder(self, ckpt_path: str | None) -> Path:
        return run_folder_of(Path(ckpt_path)) if ckpt_path else LOGS / self._settings.experiment


def _require_sound(trainer: Namespace) -> None:
    """Refuse what Lightning takes and then divides by, or doesn't do."""
    every, clip = trainer.check_val_every_n_epoch, trainer.gradient_clip_val
    if every is not None and every < 1:
        raise UserError(f"trainer.check_val_every_n_epoch must be at least 1, or null, got {every}")
    if clip is not None and not clip >= 0:
        raise UserError(f"trainer.gradient_clip_val must be at least 0 (0: gradients aren't clipped), got {clip}")


def main(args: list[str] | None = None) -> None:
    """Run a command; what the user can mend is said in one sentence, with exit status 2."""
    hush()
    spell_out_what_the_screen_lacks()
    given = sys.argv[1:] if args is None else args
    try:
        if given and given[0] in COMMANDS:
            run_command(given[0], given[1:])
            return
        require_text(given)
        first = first_run(given)
        # LightningCLI warns of arguments that are not those of the process.
        sys.argv[1:] = completed(given if first is None else first.arguments)
        MetricCLI(first)
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.destroy_process_group()  # or gloo's threads abort every fourth process that ends
    except Exception as error:
        sentence = sentence_of(error)
        if sentence is None:
            raise
        print(f"error: {printable(sentence)}", file=sys.stderr)
        sys.exit(2)


if __name__ == "__main__":
    main()
