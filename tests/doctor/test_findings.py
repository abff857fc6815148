"""What a finding says, in both languages; networks without a file; labels; healthy networks, of which nothing is said."""

import re
import string
from pathlib import Path

import pytest
import torch
from catalogue import CLASSIC, HEAD, NETWORKS, broken, written
from torch import nn

from konv.core.findings import Finding
from konv.core.recipe import Choice
from konv.core.shelves import RULES
from konv.doctor import diagnose, diagnose_script, read_script
from konv.models import build, minimum_side

PLACES = ("what", "why", "fix")


def said(text: str, tmp_path: Path, shape: tuple[int, ...] = (1, 28, 28), **facts: object) -> Finding:
    script = read_script(Choice(name=written(text, tmp_path)), shape[0], shape[1:], 10)
    (finding,) = diagnose_script(script, shape, **facts).findings
    return finding


# ---- every rule of the shelf ----


@pytest.mark.parametrize("name", RULES.names())
def test_every_rule_has_a_rank_a_severity_and_the_same_words_in_both_languages(name: str) -> None:
    rule = RULES.take(name)
    assert RULES.entry(name).description.endswith(".")
    assert rule.SEVERITY in ("error", "warning", "hint")
    assert isinstance(rule.RANK, int)
    english, korean = rule.WORDS["en"], rule.WORDS["ko"]
    assert english.keys() == korean.keys() >= set(PLACES)
    for key, text in english.items():
        pairs = [(text, korean[key])] if isinstance(text, str) else [(text[place], korean[key][place]) for place in PLACES]
        for one, other in pairs:
            assert _numbers(one) >= _numbers(other), key
            assert re.search("[가-힣]", other) or other == "{steps}.", key


def _numbers(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}


# ---- what a finding says ----


def test_a_finding_has_place_arithmetic_and_a_correction(tmp_path: Path) -> None:
    found = said(HEAD + CLASSIC.replace("16 * 6 * 6, 30", "400, 30"), tmp_path)
    assert (found.rule, found.severity, found.layer, found.line) == ("layer_width", "error", "fc1", 14)
    assert found.file == str(tmp_path / "my_net.py")
    assert "was given N×576: 576 along axis -1, and was made for 400" in found.what
    assert "pool_2" not in found.why
    assert "(12 − 2 + 2·0)/2 + 1 = 6" in found.why
    assert "16·6·6 = 576" in found.why
    assert found.fix.endswith("Line 14: self.fc1 = nn.Linear(576, 30)")
    assert found.patch is not None
    assert "-        self.fc1 = nn.Linear(400, 30)\n+        self.fc1 = nn.Linear(576, 30)\n" in found.patch
    assert Finding.model_validate_json(found.model_dump_json()) == found


def test_the_same_in_korean(tmp_path: Path) -> None:
    found = said(HEAD + CLASSIC.replace("16 * 6 * 6, 30", "400, 30"), tmp_path, language="ko")
    assert all(re.search("[가-힣]", text) for text in (found.what, found.why, found.fix))
    assert "14행: self.fc1 = nn.Linear(576, 30)" in found.fix


def test_only_the_correction_changes_and_every_line_keeps_its_ending(tmp_path: Path) -> None:
    text = (HEAD + CLASSIC.replace("16 * 6 * 6, 30", "400, 30").replace("30, 10)", "30, 10)  # 마지막 층\t")).replace(
        "\n", "\r\n"
    )
    script = read_script(Choice(name=written(text, tmp_path)), 1, (28, 28), 10)
    mended = diagnose_script(script, (1, 28, 28)).mended
    assert mended is not None
    assert mended.text == text.replace("400, 30", "576, 30")


def test_a_width_is_corrected_by_its_name_where_it_has_one(tmp_path: Path) -> None:
    case = next(case for case in broken() if "channels, 1, stride=2" in case.name)
    found = said(case.text, tmp_path, case.network.shape)
    assert "+        self.short = nn.Conv2d(channels, wider, 1, stride=2)" in str(found.patch)


def test_a_mistake_that_no_rule_knows_is_told_with_its_line(tmp_path: Path) -> None:
    found = said(HEAD + CLASSIC.replace("x = self.fc2(x)", "x = self.fc3(x)"), tmp_path)
    assert (found.rule, found.line, found.patch) == ("forward_error", 22, None)
    assert "no attribute 'fc3'" in found.what


def test_channels_last_in_the_input_itself_asks_for_another_input(tmp_path: Path) -> None:
    found = said(HEAD + CLASSIC, tmp_path, (28, 28, 1))
    assert (found.rule, found.layer, found.patch) == ("channels_last", "conv1", None)
    assert "1×28×28" in found.fix


def test_a_softmax_made_where_it_is_called_is_corrected_there(tmp_path: Path) -> None:
    found = said(HEAD + CLASSIC.replace("F.log_softmax(x, dim=1)", "nn.Softmax(dim=0)(x)"), tmp_path)
    assert found.rule == "softmax_axis"
    assert "+        return nn.Softmax(dim=1)(x)" in str(found.patch)


def test_a_correction_that_would_go_wrong_itself_is_not_offered(tmp_path: Path) -> None:
    line = "return getattr(F, 'softmax')(input=x, dim=0)"  # the corrections that come to mind give dim twice, or no input
    found = said(HEAD + CLASSIC.replace("return F.log_softmax(x, dim=1)", line), tmp_path)
    assert found.rule == "softmax_axis"
    assert found.patch is None or "dim=1)" in found.patch


# ---- networks without a file ----


def test_a_network_in_memory_is_diagnosed_and_left_as_it_was() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Flatten(), nn.Linear(100, 3)).train()
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    state = torch.get_rng_state()
    (found,) = diagnose(network, (1, 8, 8))
    assert (found.layer, found.rule, found.file, found.line, found.patch) == ("3", "layer_width", None, None, None)
    assert "was given N×144" in found.what
    assert torch.equal(torch.get_rng_state(), state)
    assert network.training
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())


def test_labels_that_have_no_score_are_told_before_a_loss_sees_them() -> None:
    network = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    (found,) = diagnose(network, (1, 4, 4), labels=torch.tensor([1, 2, 3]))
    assert found.rule == "label_range"
    assert "from 1 to 3; a network with 3 scores takes 0 to 2" in found.what
    assert diagnose(network, (1, 4, 4), labels=torch.tensor([0, 2, -100])) == []


def test_a_network_made_to_use_its_batch_is_no_mistake() -> None:
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4, track_running_stats=False), nn.Flatten(), nn.Linear(144, 3))
    assert diagnose(network, (1, 8, 8), classes=3) == []


@pytest.mark.parametrize("network", NETWORKS, ids=lambda network: network.name)
def test_log_softmax_before_cross_entropy_and_softmax_over_classes_are_no_mistake(network: object, tmp_path: Path) -> None:
    text = network.text.replace("return F.softmax(x, dim=1)", "return F.log_softmax(x, dim=-1)")  # type: ignore[attr-defined]
    shape = network.shape  # type: ignore[attr-defined]
    script = read_script(Choice(name=written(text, tmp_path)), shape[0], shape[1:], 10)
    assert diagnose_script(script, shape).findings == ()


TORCHVISION = (
    "alexnet vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn googlenet inception_v3 resnet18 resnet34 resnet50 "
    "resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 wide_resnet101_2 squeezenet1_0 "
    "squeezenet1_1 densenet121 densenet161 densenet169 densenet201 shufflenet_v2_x0_5 shufflenet_v2_x1_0 shufflenet_v2_x1_5 "
    "shufflenet_v2_x2_0 mobilenet_v2 mobilenet_v3_small mobilenet_v3_large mnasnet0_5 mnasnet0_75 mnasnet1_0 mnasnet1_3 "
    "efficientnet_b0 efficientnet_b1 efficientnet_b2 efficientnet_b3 efficientnet_b4 efficientnet_v2_s efficientnet_v2_m "
    "convnext_tiny convnext_small regnet_x_400mf regnet_x_800mf regnet_x_1_6gf regnet_x_3_2gf regnet_x_8gf regnet_y_400mf "
    "regnet_y_800mf regnet_y_1_6gf regnet_y_3_2gf regnet_y_8gf efficientnet_b5 regnet_x_16gf convnext_base"
)
HEALTHY = TORCHVISION.split()


@pytest.mark.slow
@pytest.mark.parametrize("name", HEALTHY)
def test_nothing_is_said_of_a_healthy_network(name: str) -> None:
    choice = Choice(name=name)
    least = minimum_side(choice)
    torch.manual_seed(0)
    network = build(choice, 3, (least, least), 5)
    for height, width in ((least, least), (least + 3, least + 8)):
        assert diagnose(network, (3, height, width), classes=5) == []


def test_there_are_sixty_of_them() -> None:
    assert len(set(HEALTHY)) == 60
