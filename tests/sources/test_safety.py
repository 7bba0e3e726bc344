"""Bundles from strangers: whatever they hold, nothing of it runs. A canary file would show that something did."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import monai.bundle
import numpy as np
import pytest
import torch

import medtrans
from medtrans.errors import BundleError
from medtrans.sources import Pool, Source, read_bundle

METADATA, INFERENCE, WEIGHTS = "configs/metadata.json", "configs/inference.json", "models/model.pt"


class Payload:
    """Unpickled, it makes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, (f"touch {self.canary}",)


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "canary"


def read_all(bundle: Path) -> None:
    read_bundle(bundle).load_network()


class TestMaliciousWeights:
    def test_the_payload_works_where_nothing_guards(self, canary: Path, tmp_path: Path) -> None:
        torch.save({"weight": Payload(canary)}, tmp_path / "model.pt")
        torch.load(tmp_path / "model.pt", weights_only=False)
        assert canary.exists()

    @pytest.mark.parametrize("seed", range(12))
    def test_one_flipped_bit_is_found(self, bundle: Path, seed: int) -> None:
        """Wherever it lies: torch reads most of these without a word."""
        weights = bundle / WEIGHTS
        content = bytearray(weights.read_bytes())
        place = int(np.random.default_rng(seed).integers(8 * len(content)))
        content[place // 8] ^= 1 << place % 8
        weights.write_bytes(content)
        before = read_bundle(bundle)
        try:
            before.load_network()
        except BundleError as error:
            assert "\n" not in str(error)
        else:  # padding between members, or a header's field that nobody reads
            with zipfile.ZipFile(weights) as archive:
                assert archive.testzip() is None

    @pytest.mark.parametrize("compression", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
    def test_packed_members(self, bundle: Path, compression: int) -> None:
        weights = bundle / WEIGHTS
        with zipfile.ZipFile(weights) as archive:
            members = {name: archive.read(name) for name in archive.namelist()}
        with zipfile.ZipFile(weights, "w", compression) as archive:
            for name, content in members.items():
                archive.writestr(name, content)
        with pytest.raises(BundleError, match="zip members are packed"):
            read_all(bundle)

    @pytest.mark.filterwarnings("ignore:Duplicate name")
    def test_a_member_that_is_there_twice(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle / WEIGHTS, "a") as archive:
            archive.writestr(archive.namelist()[0], b"another one")
        with pytest.raises(BundleError, match=r"is there 2 times"):
            read_all(bundle)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (
                lambda it: it.flatten()[:1].expand(it.numel()).reshape(it.shape).as_strided(it.shape, (0,) * it.ndim),
                "view",
            ),
            (lambda it: it.to(torch.float8_e4m3fn), "is torch.float8_e4m3fn"),
            (lambda it: it.to("meta"), "device meta"),
            (lambda it: it.to_sparse(), "is sparse"),
            (lambda it: torch.nested.nested_tensor([it, it]), "nested"),
            (lambda it: it.to(torch.complex64), "is torch.complex64"),
        ],
    )
    @pytest.mark.filterwarnings("ignore")
    def test_tensors_that_are_no_plain_arrays(self, bundle: Path, change: Any, message: str) -> None:
        state = torch.load(bundle / WEIGHTS, weights_only=True)
        name = next(name for name, value in state.items() if value.ndim == 4)
        torch.save(state | {name: change(state[name])}, bundle / WEIGHTS)
        with pytest.raises(BundleError, match=f"{message}|holds more than tensors") as caught:
            read_all(bundle)
        assert "\n" not in str(caught.value)

    def test_a_name_of_megabytes_is_cut(self, bundle: Path) -> None:
        torch.save({"a\x1b[31m" * 10**6: "x"}, bundle / WEIGHTS)
        with pytest.raises(BundleError) as caught:
            read_all(bundle)
        assert len(str(caught.value)) < 1000 and str(caught.value).isprintable()

    @pytest.mark.parametrize("legacy", [False, True])
    @pytest.mark.parametrize("wrapped", [False, True])
    def test_a_pickle_with_code(self, bundle: Path, canary: Path, legacy: bool, wrapped: bool) -> None:
        state = torch.load(bundle / WEIGHTS, weights_only=True) | {"final_conv.weight": Payload(canary)}
        content = {"model": state} if wrapped else state
        torch.save(content, bundle / WEIGHTS, _use_new_zipfile_serialization=not legacy)
        with pytest.raises(BundleError, match="refused, it is broken or holds more than tensors") as caught:
            read_all(bundle)
        assert not canary.exists()
        assert "weights_only=False" not in str(caught.value), "never pass on the advice to load it anyway"

    def test_a_bare_pickle(self, bundle: Path, canary: Path) -> None:
        (bundle / WEIGHTS).write_bytes(pickle.dumps(Payload(canary), protocol=2))
        with pytest.raises(BundleError, match="refused"):
            read_all(bundle)
        assert not canary.exists()

    def test_torchscript_in_the_place_of_weights(self, bundle: Path) -> None:
        with zipfile.ZipFile(bundle / WEIGHTS, "w") as archive:  # what tells it from weights
            archive.writestr("archive/data.pkl", pickle.dumps({}))
            archive.writestr("archive/constants.pkl", pickle.dumps(()))
            archive.writestr("archive/code/__torch__.py", "")
        with pytest.raises(BundleError, match="refused, it is a TorchScript archive"):
            read_all(bundle)

    def test_torchscript_only(self, bundle: Path) -> None:
        (bundle / WEIGHTS).rename(bundle / "models/model.ts")
        with pytest.raises(BundleError, match=r"model\.ts: refused, a TorchScript model is code"):
            read_bundle(bundle)

    def test_a_pool_reads_without_unpickling_anything(self, write: Callable[..., Source], canary: Path) -> None:
        source = write()
        (source.path / WEIGHTS).write_bytes(pickle.dumps(Payload(canary)))
        assert len(Pool(source.path.parents[2])) == 1
        assert not canary.exists()


class TestMaliciousConfigurations:
    def test_an_expression_runs_in_monais_parser(self, bundle: Path, canary: Path, edit: Callable[..., None]) -> None:
        edit(INFERENCE, {("network_def", "features"): f"$__import__('os').system('touch {canary}')"})
        parser = monai.bundle.ConfigParser()
        parser.read_config(bundle / INFERENCE)
        with pytest.raises(Exception, match=r".*"):
            parser.get_parsed_content("network_def")
        assert canary.exists()

    @pytest.mark.parametrize(
        "changes",
        [
            {("network_def", "features"): "$__import__('os').system('touch CANARY')"},
            {("network_def", "act"): ["relu", {"inplace": "$__import__('os').system('touch CANARY')"}]},
            {("network_def", "act"): {"_target_": "os.system", "command": "touch CANARY"}},
            {("network_def",): {"_target_": "os.system", "command": "touch CANARY"}},
            {("network_def",): "$__import__('os').system('touch CANARY')"},
            {("network_def", "_requires_"): "$__import__('os').system('touch CANARY')"},
            {("network_def", "_target_"): "$__import__('os').system('touch CANARY')"},
            {("network_def", "features"): "@evil", ("evil",): "$__import__('os').system('touch CANARY')"},
            {("network_def", "features"): "@evil", ("evil",): ["@again"], ("again",): [1]},
            {("network_def", "act"): "@evil", ("evil",): {"_target_": "os.system", "command": "touch CANARY"}},
            {("network_def", "features"): "%/etc/passwd"},
        ],
    )
    def test_expressions_and_foreign_targets(
        self, bundle: Path, canary: Path, edit: Callable[..., None], changes: dict[tuple[str, ...], Any]
    ) -> None:
        armed = {key: json.loads(json.dumps(value).replace("CANARY", str(canary))) for key, value in changes.items()}
        edit(INFERENCE, armed)
        with pytest.raises(BundleError, match=INFERENCE):
            read_all(bundle)
        assert not canary.exists()

    def test_what_is_not_read_is_not_run(self, bundle: Path, canary: Path, edit: Callable[..., None]) -> None:
        """Expressions elsewhere, scripts and MONAI's logging.conf, which 1.6.0 executed, are left alone."""
        attack = f"$__import__('os').system('touch {canary}')"
        edit(INFERENCE, {("imports",): [attack], ("initialize",): [attack], ("ckpt_path",): attack})
        edit(METADATA, {("description",): attack})
        (bundle / "configs/logging.conf").write_text(
            "[loggers]\nkeys=root\n[handlers]\nkeys=h\n[formatters]\nkeys=\n[logger_root]\nhandlers=h\n"
            f"[handler_h]\nclass=__import__('os').system('touch {canary}')\nargs=()\n"
        )
        (bundle / "scripts").mkdir()
        (bundle / "scripts/__init__.py").write_text(f"open({str(canary)!r}, 'w')")
        read_all(bundle)
        assert not canary.exists()

    def test_a_definition_that_explodes(self, bundle: Path, edit: Callable[..., None]) -> None:
        """Ten levels of references, each to ten copies of the next, would be ten thousand million values."""
        bomb = {(f"level{i}",): [f"@level{i + 1}"] * 10 for i in range(10)} | {("level10",): 1}
        edit(INFERENCE, bomb | {("network_def", "features"): "@level0"})
        with pytest.raises(BundleError, match="is an expression"):
            read_bundle(bundle)

    def test_a_definition_far_larger_than_its_weights(self, bundle: Path, edit: Callable[..., None]) -> None:
        edit(INFERENCE, {("network_def", "features"): [4096] * 6})
        source = read_bundle(bundle)
        with pytest.raises(BundleError, match="has shape"):
            source.load_network()

    @pytest.mark.parametrize("width", [3, 1000])
    def test_lists_of_references_to_lists(self, bundle: Path, width: int) -> None:
        """3^20 and 1,000^20 transforms in a few kilobytes."""
        inference = json.loads((bundle / INFERENCE).read_text())
        inference |= {f"a{i}": [f"@a{i + 1}"] * width for i in range(20)} | {"a20": [], "postprocessing": "@a0"}
        (bundle / INFERENCE).write_text(json.dumps(inference))
        with pytest.raises(BundleError, match="'postprocessing' has more than 10000 parts"):
            read_bundle(bundle)

    def test_nesting_deeper_than_python_recurses(self, bundle: Path, edit: Callable[..., None]) -> None:
        deep: list[Any] = []
        for _ in range(300):
            deep = [deep]
        edit(INFERENCE, {("network_def", "act"): deep})
        with pytest.raises(BundleError, match="nested deeper"):
            read_bundle(bundle)


class TestPathsOutOfTheBundle:
    @pytest.mark.parametrize("file", [METADATA, INFERENCE, WEIGHTS, "signature/signature.npz"])
    def test_a_link_out_of_the_bundle(self, bundle: Path, tmp_path: Path, file: str) -> None:
        secret = tmp_path / "secret"
        (bundle / file).rename(secret)
        (bundle / file).symlink_to(secret)
        with pytest.raises(BundleError, match="leads out of the bundle"):
            read_bundle(bundle)

    def test_a_folder_that_is_a_link_out_of_the_bundle(self, bundle: Path, tmp_path: Path) -> None:
        (bundle / "models").rename(tmp_path / "elsewhere")
        (bundle / "models").symlink_to(tmp_path / "elsewhere")
        with pytest.raises(BundleError, match="leads out of the bundle"):
            read_bundle(bundle)

    def test_a_link_after_the_bundle_was_read(self, bundle: Path, tmp_path: Path) -> None:
        source = read_bundle(bundle)
        (bundle / WEIGHTS).rename(tmp_path / "secret")
        (bundle / WEIGHTS).symlink_to(tmp_path / "secret")
        with pytest.raises(BundleError, match="leads out of the bundle"):
            source.load_network()

    def test_links_inside_the_bundle_and_to_it_are_fine(self, bundle: Path, tmp_path: Path) -> None:
        (bundle / WEIGHTS).rename(bundle / "models/best.pt")
        (bundle / WEIGHTS).symlink_to("best.pt")
        (tmp_path / "linked").symlink_to(bundle)
        read_all(tmp_path / "linked")

    def test_paths_in_the_configuration_are_not_followed(self, bundle: Path, edit: Callable[..., None]) -> None:
        edit(INFERENCE, {("ckpt_path",): "/etc/passwd", ("bundle_root",): "/"})
        read_all(bundle)

    def test_a_pipe_does_not_hang(self, bundle: Path) -> None:
        (bundle / WEIGHTS).unlink()
        os.mkfifo(bundle / WEIGHTS)
        with pytest.raises(BundleError, match="not a file"):
            read_bundle(bundle)


class TestMaliciousSignatures:
    def replace(self, bundle: Path, **arrays: Any) -> None:
        np.savez(bundle / "signature/signature.npz", **arrays)

    def test_an_array_of_objects_is_a_pickle(self, bundle: Path, canary: Path) -> None:
        self.replace(bundle, features=np.array([[Payload(canary)]], dtype=object))
        with pytest.raises(BundleError, match="features claims to be object"):
            read_bundle(bundle)
        assert not canary.exists()

    def test_a_header_that_claims_terabytes(self, bundle: Path) -> None:
        header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (1000000, 1000000), }"
        header += b" " * (117 - len(header)) + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header
        with zipfile.ZipFile(bundle / "signature/signature.npz", "w") as archive:
            archive.writestr("features.npy", content)
        with pytest.raises(BundleError, match="of sensible size"):
            read_bundle(bundle)

    def test_a_header_that_claims_more_than_is_there(self, bundle: Path) -> None:
        header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (1000,), }"
        header += b" " * (117 - len(header)) + b"\n"
        content = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + b"\x00" * 10
        with zipfile.ZipFile(bundle / "signature/signature.npz", "w") as archive:
            archive.writestr("labels.npy", content)
        with pytest.raises(BundleError, match=r"labels claims shape \(1000,\) but holds 138 bytes"):
            read_bundle(bundle)

    def test_a_bare_pickle(self, bundle: Path, canary: Path) -> None:
        (bundle / "signature/signature.npz").write_bytes(pickle.dumps(Payload(canary)))
        with pytest.raises(BundleError, match=r"not an \.npz file"):
            read_bundle(bundle)
        assert not canary.exists()


def test_medtrans_never_uses_monais_parser() -> None:
    package = Path(medtrans.__file__).parent
    texts = {file: file.read_text(encoding="utf-8") for file in package.rglob("*.py")}
    assert texts
    assert not [file for file, text in texts.items() if "ConfigParser" in text or "monai.bundle" in text]
