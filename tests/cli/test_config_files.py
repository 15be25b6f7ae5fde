"""Config files that can't be read, and what stands in them for nothing: one sentence each, by name."""

import codecs
import json
from pathlib import Path

import pytest
import yaml
from jsonargparse import Namespace

from metric_lightning.cli import main
from metric_lightning.command_line.config_files import read_config, unknown_sections
from metric_lightning.command_line.messages import one_sentence
from metric_lightning.errors import UserError
from tests.cli.test_cli import CONFIG, refusal

BAD = {
    "binary": (bytes(range(256)), "x.yaml is no text in UTF-8 (line 2); name a YAML file"),
    "UTF-16": (CONFIG.encode("utf-16"), "x.yaml is text in UTF-16; save it as UTF-8"),
    "broken": (b"data: [\nmodel: 3", "x.yaml is no YAML: expected ',' or ']', but got '<stream end>', line 2"),
    "control characters": (b"data: \x07", "x.yaml is no YAML: unacceptable character"),
    "no date": (b"data: 2026-13-40", "x.yaml is no YAML (month must be in 1..12"),
    "empty": (b"", "x.yaml holds no settings by name"),
    "a list": (b"[1, 2]", "x.yaml holds no settings by name"),
    "named twice": (b"a: 1\nb: {c: 1, d: [{e: 1, e: 2}]}", "x.yaml says 'e' a second time in line 2; leave one out"),
}


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("fault", BAD)
def test_a_file_that_is_no_config_is_refused_in_a_sentence(here, fault):
    content, sentence = BAD[fault]
    Path("x.yaml").write_bytes(content)
    with pytest.raises(UserError) as refused:
        read_config("x.yaml")
    assert str(refused.value).startswith("--config ") and sentence in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_is_not_there_and_a_folder(here):
    Path("digits.yaml").write_text(CONFIG)
    with pytest.raises(UserError, match="there is no file digit.yaml, which --config names; did you mean digits.yaml?"):
        read_config("digit.yaml")
    with pytest.raises(UserError, match="is a folder; name the YAML file in it"):
        read_config(str(here))


def test_settings_are_read_as_yaml_says(here):
    for content in (CONFIG.encode(), codecs.BOM_UTF8 + CONFIG.encode()):
        Path("x.yaml").write_bytes(content)
        assert read_config("x.yaml") == yaml.safe_load(CONFIG)
    assert read_config(CONFIG) == yaml.safe_load(CONFIG)
    assert read_config("a: &a {b: 1}\nc: {<<: *a, b: 2}")["c"] == {"b": 2}


def test_an_empty_section_that_means_nothing_is_found_at_every_level():
    parsed = Namespace(
        trainer=Namespace(max_epochs=1),
        model=Namespace(class_path="a.B", init_args=Namespace(margin=1.0, parts=[Namespace(class_path="a.C")])),
    )
    said = {
        "trainr": {},
        "trainer": {"max_epoch": {}},
        "model": {"class_path": "a.B", "init_args": {"margn": {}, "parts": [{"class_path": "a.C", "init_args": {}}]}},
    }
    assert list(unknown_sections(said, parsed)) == [
        "there is no key 'trainr'; did you mean trainer?",
        "there is no key 'trainer.max_epoch'; did you mean trainer.max_epochs?",
        "there is no key 'model.init_args.margn'; did you mean model.init_args.margin?",
    ]
    said["model"]["class_path"] = "a.Other"  # the command line has put another class in its place
    assert len(list(unknown_sections(said, parsed))) == 2


@pytest.mark.parametrize("section", ["trainr: {}", "trainr:"])
def test_a_mistyped_section_is_refused_though_it_is_empty(here, capsys, section):
    Path("x.yaml").write_text(f"{CONFIG}\n{section}\n")
    assert "there is no key 'trainr'; did you mean trainer?" in refusal(["fit", "--config", "x.yaml"], capsys)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["data", "--data.rot", "photos"], "there is no option --data.rot; did you mean --data.root?"),
        (["data", "--data.root", "photos", "--max_inputs", "x"], "error: --max_inputs: invalid int value: 'x'"),
        (["data", "--data.root", "photos", "--max_inputs", "-1"], "--max_inputs must be at least 0, got -1"),
        (["fit", "--config"], "error: --config: expected one argument"),
        (["data", "--data", "metric_lightning.losses.NCALoss"], "NCALoss, given as 'data', is no MetricDataModule"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_sentence(here, capsys, arguments, sentence):
    assert sentence in refusal(arguments, capsys)


PART = """Parser key "model":
  Does not validate against any of the Union subtypes
  Errors:
    - Not a valid subclass of MetricModule
      Subclass types expect one of:
      - a class path (str)
    - Expected a <class 'NoneType'>
  Given value type: <class 'dict'>
  Given value: """


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {"class_path": "a.B", "init_arg": {}},
            "'model' has the key 'init_arg', but a class is given by class_path and",
        ),
        ([2], "'model' must be a MetricModule, given by class_path: package.module.Class and init_args; got [2]"),
        ("x" * 999, "init_args; got 'xxx"),
    ],
)
def test_what_is_no_part_is_said_to_be_none(given, sentence):
    said = one_sentence(PART + repr(given))
    assert sentence in said and len(said) < 250


def test_words_where_settings_should_be():
    message = 'Parser key "trainer":\nUnable to load config \'hello\'\n  - Parser key "trainer": Unable to load'
    assert one_sentence(message) == "'trainer' must be settings by name, or the file that holds them; got 'hello'"


def test_a_good_config_of_json_is_taken(here, capsys):
    with pytest.raises(SystemExit) as stopped:
        main(["fit", "--config", json.dumps(yaml.safe_load(CONFIG)), "--print_config"])
    assert stopped.value.code == 0 and "TripletMarginLoss" in capsys.readouterr().out
