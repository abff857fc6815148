"""The examples run and show what they say."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from konv.core.recipe import Choice
from konv.doctor import check
from konv.models import build

EXAMPLES = Path(__file__).parents[1] / "examples"


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"konv_example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_xor_one_layer_fails_and_two_succeed(capsys: pytest.CaptureFixture[str]) -> None:
    xor = example("xor")
    xor.main()
    assert "two:    100%" in capsys.readouterr().out
    assert xor.accuracy_after(Choice(name="perceptron")) <= 0.75


def test_no_single_layer_parts_xor() -> None:
    """The sum of the scores' differences over equal points is that over unequal ones: they cannot have opposite signs."""
    xor = example("xor")
    for seed in range(20):
        torch.manual_seed(seed)
        scores = build(Choice(name="perceptron"), 1, (2,), 2)(xor.POINTS).detach()
        margin = scores[:, 1] - scores[:, 0]
        torch.testing.assert_close(margin[0] + margin[3], margin[1] + margin[2])
        assert xor.share_right(build(Choice(name="perceptron"), 1, (2,), 2), xor.POINTS) <= 0.75


@pytest.mark.parametrize("guide", ["guide.md", "guide.ko.md"])
@pytest.mark.parametrize(("channels", "side", "features"), [(3, 32, 4_096), (1, 28, 3_136)])
def test_the_guides_lazy_network_finds_its_widths(guide: str, channels: int, side: int, features: int, tmp_path: Path) -> None:
    blocks = (EXAMPLES.parent / "docs" / guide).read_text(encoding="utf-8").split("```python\n")
    (tmp_path / "net.py").write_text(next(block for block in blocks if "LazyLinear" in block).partition("```")[0])
    network = build(Choice(name=f"{tmp_path / 'net.py'}:Net"), channels, (side, side), 5)
    assert (network[0].in_channels, network[-1].in_features) == (channels, features)
    check(network, (channels, side, side), 5)
