"""YAML that stands for more than it seems is refused at once, with its line."""

import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from ampelstream.errors import ConfigError
from ampelstream.topology.yamlloader import MAX_DEPTH, MAX_LENGTH, MAX_VALUES, read_yaml

FILE = Path("mine.yml")
LAUGHS = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
    f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
)
REFUSED = {
    "one value": ("name: " + MAX_LENGTH * "x", r"mine\.yml has 5000006 characters, and may have 5"),
    "billion laughs": (LAUGHS, r"mine\.yml:5: .*more than 100000 values"),
    "an alias of itself": ("name: x\na: &x\n  - *x\n", r"mine\.yml:3: \*x stands within itself"),
    "a mapping in itself": ("a: &x {b: {c: *x}}", r"mine\.yml:1: \*x stands within itself"),
    "merged into itself": ("a: &x\n  <<: *x\n", r"mine\.yml:2: \*x stands within itself"),
    "merged laughs": (
        "a0: &a0 {k: 1}\n"
        + "".join(f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 50)}]}}\n" for n in range(1, 9)),
        "more than 100000 values",
    ),
    "deep brackets": ("a: " + "[" * 100_000, r"mine\.yml:1: values lie more than 50 deep"),
    "deep blocks": ("\n".join(" " * n + "a:" for n in range(2000)), r"mine\.yml:50: .*50 deep"),
    "many values": ("- x\n" * 200_000, r"mine\.yml:100000: .*more than 100000 values"),
    "no date": ("a: 1\nb: 2001-99-99", "2:4: not valid YAML: this value cannot be read: it looks"),
    "no character": ('a: 1\nb: "\\UFFFFFFFF"', "mine.yml:2: not valid YAML: an escape or a number"),
    "no time": ("a: !!timestamp foo", "cannot be read: it looks like a date, a number"),
    "a long number": ("a: " + "9" * 5000, "this value cannot be read"),
    "no number": ("a: !!float x", "this value cannot be read"),
    "no boolean": ("a: !!bool x", "this value cannot be read"),
    "a list as key": ("? [a]\n: b", "not valid YAML"),
    "two documents": ("a: 1\n---\na: 2\n", "not valid YAML"),
    "control characters": ("a: \x00", "not valid YAML"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_too_much_is_refused_at_once(case: str) -> None:
    text, message = REFUSED[case]
    began = time.perf_counter()
    with pytest.raises(ConfigError, match=message):
        read_yaml(text, FILE)
    assert time.perf_counter() - began < 30  # parsing 100,000 values takes some seconds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: x\n  a: 1\n", "2:4: not valid YAML: a key cannot stand here: indent"),
        ('a: "\\q"\n', "1:6: not valid YAML: no such escape exists: double the backslash"),
        ("a: &x 1\nb: &x 2\n", "2:4: not valid YAML: this name (&name) is given a second time"),
        ("a: {<<: 3}\n", "1:9: not valid YAML: what is merged here is no mapping"),
        ("a: |9x\n b\n", "1:6: not valid YAML: behind | or > nothing may stand but"),
        ("a: b: c\n", "1:5: not valid YAML: a key cannot stand here: indent"),
        ("a:\n  - x\n y: 1\n", "3:2: not valid YAML: this does not fit to what is above it"),
        ("a:\n  b: 1\n c: 2\n", "(it belongs to what begins in line 1)"),
        ("a: [1, 2\nb: 3\n", "2:2: not valid YAML: a comma is missing, or a bracket"),
        ("a: 'x\nb: 3\n", "3:1: not valid YAML: a quote is not closed (it belongs to what begins"),
        ("a: 1\n\tb: 2\n", "2:1: not valid YAML: no value begins with this character"),
        ("name\na: 1\n", "2:2: not valid YAML: "),
        ("a: *x\n", "1:4: not valid YAML: *name stands for &name"),
        ("a: 1\n---\nb: 2\n", "2:1: not valid YAML: a second document begins here"),
        ("? [a]\n: b", "1:3: not valid YAML: a key is a text or a number"),
        ("a: 1\nb: \x00", "2:4: not valid YAML: this control character"),
        ("a: !mine x", "1:4: not valid YAML: this tag"),
        ("a: %x", "1:4: not valid YAML: no value begins with this character"),
    ],
)
def test_a_mistake_has_our_words_and_its_place(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, FILE)
    said = str(caught.value)
    assert message in said, said
    assert said.startswith("mine.yml:")
    assert "\n" not in said
    assert "<" not in said


def test_the_line_is_named_where_values_may_be_secrets() -> None:
    with pytest.raises(ConfigError) as caught:
        read_yaml("a: 1\nsecret: 2001-99-99", FILE, quote=False)
    assert str(caught.value) == "mine.yml:2: not valid YAML"


def test_anchors_and_merge_keys_do_what_yaml_says() -> None:
    text = "base: &b {x: 1, y: [2, 3]}\none: {<<: *b, x: 4}\ntwo: [*b, *b]\n"
    node, content = read_yaml(text, FILE)
    assert content == yaml.safe_load(text)
    assert node is not None
    assert read_yaml("", FILE) == (None, None)
    assert read_yaml("# nothing\n", FILE) == (None, None)


def test_the_bounds_are_far_from_what_people_write() -> None:
    assert len(read_yaml("- x\n" * (MAX_VALUES - 1), FILE)[1]) == MAX_VALUES - 1
    deep = "[" * (MAX_DEPTH - 1) + "1" + "]" * (MAX_DEPTH - 1)
    assert read_yaml(deep, FILE)[1] == yaml.safe_load(deep)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=20,
)


@given(plain)
def test_everything_else_reads_as_before(content: object) -> None:
    assert read_yaml(yaml.safe_dump(content), FILE)[1] == content
