"""Bundles: what is written comes back, MONAI reads it too, and a failure leaves nothing."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import pytest
import torch

from medtrans.errors import BundleError
from medtrans.networks import build_network, network_definition
from medtrans.sources import Source, read_bundle
from medtrans.tasks import TaskName

resource = pytest.importorskip("resource", reason="limits the size of files as a full disk does; not on Windows")
TASK = TaskName("open-ms", "FLAIR", "lesion")
METADATA, INFERENCE, WEIGHTS = "configs/metadata.json", "configs/inference.json", "models/model.pt"


def files_under(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def test_what_is_written_comes_back(write: Callable[..., Source]) -> None:
    written = write()
    source = read_bundle(written.path, "open-ms/FLAIR/lesion")
    assert (source.name, source.task, source.modality) == ("open-ms/FLAIR/lesion", TASK, "FLAIR")
    assert (source.spatial_dims, source.in_channels, source.out_channels) == (2, 1, 2)
    assert (source.class_names, source.activation) == (("background", "lesion"), "softmax")
    assert source.preprocessing == {"dimensions": 2, "spacing_mm": 2.0, "size": None}
    assert source.metadata["medtrans"]["training"] == {"steps": 3, "loss": 0.5}
    assert source.network_definition == network_definition(
        "BasicUNet", spatial_dims=2, in_channels=1, out_channels=2, width=2
    )
    assert source.signature is not None
    assert source.signature.features is not None
    assert (written.name, written.path) == (source.name, source.path)


@pytest.mark.parametrize("name", ["BasicUNet", "DynUNet", "SegResNet"])
@pytest.mark.parametrize("dims", [2, 3])
def test_the_network_comes_back_bit_for_bit(write: Callable[..., Source], name: str, dims: int) -> None:
    definition = network_definition(name, spatial_dims=dims, in_channels=2, out_channels=3, width=2)
    network = build_network(definition, seed=5).eval()
    state = torch.get_rng_state()
    loaded = write(definition=definition, network=network, class_names=("a", "b", "c")).load_network()
    images = torch.rand(1, 2, *(32, 16, 16)[:dims], generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert torch.equal(loaded(images), network(images))
    assert not loaded.training
    assert all(weight.requires_grad and not weight.is_meta for weight in loaded.parameters())
    assert torch.equal(torch.get_rng_state(), state)


def test_a_bundle_without_a_signature(write: Callable[..., Source]) -> None:
    source = write(signature=None)
    assert source.signature is None
    assert not (source.path / "signature").exists()
    assert "Nothing but the weights" in (source.path / "docs/README.md").read_text()


def test_card_and_terms_travel_with_the_bundle(bundle: Path) -> None:
    card = (bundle / "docs/README.md").read_text()
    assert "2D BasicUNet" in card
    assert "Features and labels of 6 pixels of 3 subjects" in card
    assert '"loss": 0.5' in card
    assert "terms of use of that data" in (bundle / "LICENSE").read_text()


class TestMonaiReadsOurBundles:
    def test_mandatory_fields_are_there(self, bundle: Path) -> None:
        metadata = json.loads((bundle / METADATA).read_text())
        for key in ("version", "monai_version", "pytorch_version", "numpy_version", "task", "description"):
            assert isinstance(metadata[key], str), key
        assert {"required_packages_version", "authors", "copyright", "schema"} <= set(metadata)
        tensor = {"type", "format", "modality", "num_channels", "spatial_shape", "dtype", "value_range"}
        for tensors in metadata["network_data_format"].values():
            for specification in tensors.values():
                assert tensor | {"is_patch_data", "channel_def"} <= set(specification)

    def test_its_parser_finds_the_properties_and_builds_the_network(self, bundle: Path) -> None:
        parser = monai.bundle.ConfigParser()
        parser.read_config(bundle / INFERENCE)
        parser.read_meta(bundle / METADATA)
        for name, property_ in monai.bundle.MetaProperties.items():
            assert parser.get(property_["id"]) is not None, name
        network = parser.get_parsed_content("network_def")
        network.load_state_dict(torch.load(bundle / WEIGHTS, weights_only=True))
        ours = read_bundle(bundle).load_network().state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())
        assert parser.get_parsed_content("postprocessing") is not None

    def test_its_check_of_inputs_and_outputs_passes(self, bundle: Path) -> None:
        monai.bundle.verify_net_in_out(
            net_id="network_def",
            meta_file=str(bundle / METADATA),
            config_file=str(bundle / INFERENCE),
            device="cpu",
            n=2,
        )

    def test_its_loader_fills_a_network(self, bundle: Path) -> None:
        source = read_bundle(bundle)
        network = monai.bundle.load(
            bundle.name, bundle_dir=bundle.parent, model=build_network(source.network_definition, seed=9)
        )
        ours = source.load_network().state_dict()
        assert all(torch.equal(value, ours[key]) for key, value in network.state_dict().items())

    def test_no_expression_is_written(self, bundle: Path) -> None:
        assert '"$' not in (bundle / INFERENCE).read_text() + (bundle / METADATA).read_text()


class TestZooBundle:
    def test_what_it_says_is_read(self, zoo_bundle: Path) -> None:
        source = read_bundle(zoo_bundle)
        assert (source.name, source.task, source.modality) == ("brats_mri_segmentation", None, "T1c+T1+T2+FLAIR")
        assert (source.spatial_dims, source.in_channels, source.out_channels) == (3, 4, 3)
        assert source.class_names == ("Tumor core", "Whole tumor", "Enhancing tumor")
        assert source.activation == "sigmoid"
        assert source.preprocessing is None
        assert source.signature is None

    @pytest.mark.parametrize("key", [None, "model", "state_dict"])
    @pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "_orig_mod.module.", "net.", "model.net."])
    def test_checkpoints_as_they_occur(self, zoo_bundle: Path, key: str | None, prefix: str) -> None:
        state = torch.load(zoo_bundle / WEIGHTS, weights_only=True)
        stored: Any = {prefix + name: value.half() for name, value in state.items()}
        torch.save({key: stored, "epoch": 3} if key else stored, zoo_bundle / WEIGHTS)
        loaded = read_bundle(zoo_bundle).load_network().state_dict()
        assert all(torch.equal(loaded[name], value.half().float()) for name, value in state.items())

    def test_what_is_beside_the_network_is_left(self, zoo_bundle: Path) -> None:
        """Lightning keeps the weights of the loss too; a part of the network may have been compiled."""
        state = torch.load(zoo_bundle / WEIGHTS, weights_only=True)
        first = next(iter(state))
        stored = {f"net.{name}": value for name, value in state.items()} | {"loss.weight": torch.ones(2)}
        stored[f"net.{first.replace('.', '._orig_mod.', 1)}"] = stored.pop(f"net.{first}")
        torch.save({"state_dict": stored, "epoch": 3}, zoo_bundle / WEIGHTS)
        loaded = read_bundle(zoo_bundle).load_network().state_dict()
        assert all(torch.equal(loaded[name], value.float()) for name, value in state.items())

    def test_weights_that_are_there_twice_are_not_guessed(self, zoo_bundle: Path) -> None:
        state = torch.load(zoo_bundle / WEIGHTS, weights_only=True)
        torch.save(
            {f"{who}.{name}": it for who in ("student", "teacher") for name, it in state.items()}, zoo_bundle / WEIGHTS
        )
        with pytest.raises(BundleError, match=r"are there twice, behind 'student\.' and 'teacher\.'"):
            read_bundle(zoo_bundle).load_network()

    @pytest.mark.parametrize(
        ("postprocessing", "activation"),
        [
            ("@post", "sigmoid"),
            ({"transforms": "@post"}, "sigmoid"),
            ({"transforms": [{"_target_": "Compose", "transforms": ["@post#1"]}]}, "sigmoid"),
            ({"transforms": [{"_target_": "Activationsd", "sigmoid": "@overlap"}]}, "sigmoid"),
            ({"transforms": [{"_target_": "Activationsd", "sigmoid": [False, True]}]}, "sigmoid"),
            ({"transforms": [{"_target_": "Activationsd", "sigmoid": True, "_disabled_": True}]}, "softmax"),
            ({"transforms": "@nowhere"}, "softmax"),
            (None, "softmax"),
        ],
    )
    def test_the_activation_is_found_wherever_it_is_written(
        self, zoo_bundle: Path, postprocessing: Any, activation: str
    ) -> None:
        inference = json.loads((zoo_bundle / INFERENCE).read_text())
        inference |= {"post": [{"_target_": "X"}, {"_target_": "Activationsd", "sigmoid": True}], "overlap": True}
        (zoo_bundle / INFERENCE).write_text(json.dumps(inference | {"postprocessing": postprocessing}))
        assert read_bundle(zoo_bundle).activation == activation

    def test_one_channel_needs_a_sigmoid(self, zoo_bundle: Path) -> None:
        inference = json.loads((zoo_bundle / INFERENCE).read_text())
        inference["network_def"]["out_channels"] = 1
        metadata = json.loads((zoo_bundle / METADATA).read_text())
        metadata["network_data_format"]["outputs"]["pred"] |= {"num_channels": 1, "channel_def": {"0": "lesion"}}
        (zoo_bundle / METADATA).write_text(json.dumps(metadata))
        (zoo_bundle / INFERENCE).write_text(json.dumps(inference))
        assert read_bundle(zoo_bundle).activation == "sigmoid"
        (zoo_bundle / INFERENCE).write_text(json.dumps(inference | {"postprocessing": {"transforms": []}}))
        with pytest.raises(
            BundleError, match=r"one output channel, but no transform says sigmoid: true; write it there"
        ):
            read_bundle(zoo_bundle)

    def test_modality_falls_back_to_the_field(self, zoo_bundle: Path) -> None:
        metadata = json.loads((zoo_bundle / METADATA).read_text())
        image = metadata["network_data_format"]["inputs"]["image"]
        image["channel_def"] = {"0": "image"}
        (zoo_bundle / METADATA).write_text(json.dumps(metadata))
        assert read_bundle(zoo_bundle).modality == "MR"
        image["modality"] = "n/a"
        (zoo_bundle / METADATA).write_text(json.dumps(metadata))
        assert read_bundle(zoo_bundle).modality is None

    def test_references_are_followed_but_not_in_circles(self, zoo_bundle: Path) -> None:
        inference = json.loads((zoo_bundle / INFERENCE).read_text())
        inference |= {"n_classes": "@sizes::classes", "sizes": {"classes": "@sizes#n", "n": 3}}
        (zoo_bundle / INFERENCE).write_text(json.dumps(inference))
        assert read_bundle(zoo_bundle).out_channels == 3
        inference["sizes"]["n"] = "@n_classes"
        (zoo_bundle / INFERENCE).write_text(json.dumps(inference))
        with pytest.raises(BundleError, match="'@n_classes' refers to itself"):
            read_bundle(zoo_bundle)


@pytest.mark.parametrize(
    ("file", "changes", "message"),
    [
        (METADATA, {("network_data_format",): None}, "'network_data_format.outputs' is missing"),
        (METADATA, {("network_data_format", "inputs", "image", "num_channels"): 4}, "is 4, not 1"),
        (METADATA, {("network_data_format", "inputs", "image", "num_channels"): "1"}, "not a whole number"),
        (METADATA, {("network_data_format", "inputs", "image", "num_channels"): True}, "not a whole number"),
        (METADATA, {("network_data_format", "inputs"): {}}, "names 0 tensors"),
        (METADATA, {("medtrans",): 3}, "'medtrans.format' is missing"),
        (METADATA, {("medtrans", "format"): 2}, "update medtrans"),
        (METADATA, {("medtrans", "task"): "lesion"}, "domain/modality/structure"),
        (METADATA, {("medtrans", "task"): "open-ms/T1/lesion"}, "but the signature is of open-ms/FLAIR/lesion"),
        (METADATA, {("medtrans", "preprocessing"): None}, "'medtrans.preprocessing' is missing"),
        (INFERENCE, {("network_def",): None}, "'network_def' is missing"),
        (INFERENCE, {("network_def",): "@network"}, "not a mapping"),
        (INFERENCE, {("network_def", "spatial_dims"): 1}, "only 2 and 3"),
        (INFERENCE, {("network_def", "_target_"): "UNet"}, "1 x 1 convolution"),
        (INFERENCE, {("network_def", "feature"): [1]}, "did you mean 'features'"),
    ],
)
def test_contradictions_name_file_and_key(
    bundle: Path, edit: Callable[..., None], file: str, changes: dict[tuple[str, ...], Any], message: str
) -> None:
    edit(file, changes)
    with pytest.raises(BundleError, match=message) as caught:
        read_bundle(bundle)
    assert str(bundle / file) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"a": NaN}', "\udcff", "[" * 100_000, '{"a": 1}' + " " * 2**24])
def test_a_configuration_that_is_no_json_object(bundle: Path, content: str) -> None:
    (bundle / METADATA).write_bytes(content.encode(errors="surrogateescape"))
    with pytest.raises(BundleError, match=METADATA):
        read_bundle(bundle)


@pytest.mark.parametrize("file", [METADATA, INFERENCE, WEIGHTS, "signature/signature.npz", "signature/signature.json"])
def test_a_missing_file_is_named(bundle: Path, file: str) -> None:
    (bundle / file).unlink()
    with pytest.raises(BundleError, match=f"{file}: missing"):
        read_bundle(bundle)


class TestWeightsThatDoNotFit:
    def save(self, bundle: Path, **changes: Any) -> None:
        state = torch.load(bundle / WEIGHTS, weights_only=True)
        for name, value in changes.items():
            key = name.replace("__", ".")
            state = {k: v for k, v in state.items() if k != key} | ({} if value is None else {key: value})
        torch.save(state, bundle / WEIGHTS)

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            (
                torch.zeros(3, 2, 1, 1),
                r"'final_conv.weight' has shape \(3, 2, 1, 1\) but BasicUNet expects \(2, 2, 1, 1\)",
            ),
            (None, "'final_conv.weight' of BasicUNet is missing"),
            (torch.full((2, 2, 1, 1), torch.nan), "'final_conv.weight' holds NaN"),
            (torch.zeros(2, 2, 1, 1, dtype=torch.int64), "'final_conv.weight' is torch.int64"),
            (torch.zeros(2, 2, 1, 1).to_sparse(), "'final_conv.weight' is sparse"),
            ("zero", "'final_conv.weight' is str, not a tensor"),
        ],
    )
    def test_the_first_key_is_named(self, bundle: Path, value: Any, message: str) -> None:
        self.save(bundle, final_conv__weight=value)
        with pytest.raises(BundleError, match=message):
            read_bundle(bundle).load_network()

    def test_a_key_too_many(self, bundle: Path) -> None:
        self.save(bundle, aux__weight=torch.zeros(1))
        with pytest.raises(BundleError, match=r"'aux\.weight' is not part of BasicUNet"):
            read_bundle(bundle).load_network()

    @pytest.mark.parametrize("content", [{}, [1, 2], torch.zeros(3), 3])
    def test_no_state_dictionary(self, bundle: Path, content: Any) -> None:
        torch.save(content, bundle / WEIGHTS)
        with pytest.raises(BundleError, match="not a state dictionary"):
            read_bundle(bundle).load_network()

    @pytest.mark.parametrize("keep", [0.0, 0.01, 0.5, 0.99])
    def test_a_truncated_file(self, bundle: Path, keep: float) -> None:
        whole = (bundle / WEIGHTS).read_bytes()
        (bundle / WEIGHTS).write_bytes(whole[: int(keep * len(whole))])
        with pytest.raises(BundleError, match=r"model\.pt: refused, it .*copy it again") as caught:
            read_bundle(bundle).load_network()
        assert "\n" not in str(caught.value)


@contextmanager
def limited_file_size(n_bytes: int) -> Iterator[None]:
    """The kernel refuses to write more, as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


class TestNothingHalfWritten:
    def test_disk_full_half_way(self, write: Callable[..., Source], tmp_path: Path) -> None:
        with limited_file_size(20_000), pytest.raises(BundleError, match="File too large"):
            write()
        assert files_under(tmp_path) == []

    def test_torch_cannot_save(self, write: Callable[..., Source], tmp_path: Path, monkeypatch: Any) -> None:
        def full(*_: Any) -> None:
            assert list((tmp_path / "pool/open-ms/FLAIR").iterdir()), "other files are there already"
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(torch, "save", full)
        with pytest.raises(BundleError, match=r"open-ms/FLAIR/lesion: cannot be written \(No space left on device\)"):
            write()
        assert files_under(tmp_path) == []

    def test_a_kill_leaves_the_bundle_that_was_there(
        self, write: Callable[..., Source], bundle: Path, monkeypatch: Any
    ) -> None:
        before = {file: (bundle / file).read_bytes() for file in files_under(bundle) if (bundle / file).is_file()}

        def killed(*_: Any) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(torch, "save", killed)
        with pytest.raises(KeyboardInterrupt):
            write(seed=1)
        assert {file: (bundle / file).read_bytes() for file in before} == before
        assert files_under(bundle.parent)[0] == "lesion"

    @pytest.mark.parametrize("n_renames_that_work", [0, 1])
    def test_a_failing_rename_leaves_the_bundle_that_was_there(
        self, write: Callable[..., Source], bundle: Path, monkeypatch: Any, n_renames_that_work: int
    ) -> None:
        before = (bundle / WEIGHTS).read_bytes()
        rename, n_calls = Path.rename, [0]

        def failing(path: Path, target: Path) -> Path:
            n_calls[0] += 1
            if n_calls[0] == n_renames_that_work + 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            return rename(path, target)

        monkeypatch.setattr(Path, "rename", failing)
        with pytest.raises(BundleError, match="Input/output error"):
            write(seed=1)
        assert (bundle / WEIGHTS).read_bytes() == before
        assert [path.name for path in bundle.parent.iterdir()] == ["lesion"]

    def test_a_bundle_is_replaced_whole(self, write: Callable[..., Source], bundle: Path) -> None:
        before = (bundle / WEIGHTS).read_bytes()
        (bundle / "leftover").touch()
        write(seed=1, signature=None)
        assert (bundle / WEIGHTS).read_bytes() != before
        assert not (bundle / "leftover").exists()
        assert not (bundle / "signature").exists()
        assert [path.name for path in bundle.parent.iterdir()] == ["lesion"]

    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"class_names": ("a", "b", "c")}, "is 3, not 2"),
            ({"training_record": {"loss": float("nan")}}, "plain finite values"),
            ({"training_record": {"loss": {1, 2}}}, "plain finite values"),
            (
                {"definition": network_definition("BasicUNet", spatial_dims=2, in_channels=1, out_channels=3, width=2)}
                | {
                    "network": build_network(
                        {"_target_": "BasicUNet", "spatial_dims": 2, "features": [2, 2, 4, 8, 16, 2]}
                    )
                },
                r"'final_conv.weight' has shape \(2, 2, 1, 1\)",
            ),
        ],
    )
    def test_what_does_not_fit_together_is_not_written(
        self, write: Callable[..., Source], tmp_path: Path, parts: dict[str, Any], message: str
    ) -> None:
        with pytest.raises(BundleError, match=message):
            write(**parts)
        assert files_under(tmp_path) == []

    def test_a_diverged_network_is_not_written(self, write: Callable[..., Source], tmp_path: Path) -> None:
        definition = network_definition("BasicUNet", spatial_dims=2, in_channels=1, out_channels=2, width=2)
        network = build_network(definition)
        with torch.no_grad():
            network.final_conv.bias.fill_(np.nan)
        with pytest.raises(BundleError, match=r"'final_conv\.bias' holds NaN"):
            write(network=network, definition=definition)
        assert files_under(tmp_path) == []
