"""Pictures in a store that speaks S3, by the real s3fs: listed, read, restored and written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from store import BUCKET, Store, storing
from typer.testing import CliRunner

from cyclerdm_cli.app import app

s3fs = pytest.importorskip("s3fs", reason="s3:// needs the extra remote")

KEYS = ("10.png", "2.png", "sub/3.png", "sub/grün 100%+.png", "a[1].png", "notes.txt")


@pytest.fixture
def store(photograph_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    with storing() as running:
        for name, value in {
            "AWS_ENDPOINT_URL": running.base,
            "AWS_ACCESS_KEY_ID": "nobody",
            "AWS_SECRET_ACCESS_KEY": "nothing",
            "AWS_DEFAULT_REGION": "us-east-1",
        }.items():
            monkeypatch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        running.files = {key: photograph_file.read_bytes() for key in KEYS}
        yield running
    s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture
def denoise(tiny_weights: Path) -> list[str | Path]:
    return ["restore", "--task", "denoise", "--weights", tiny_weights, "--device", "cpu"]


def call(*words: str | Path) -> tuple[int, list[str], list[str]]:
    result = CliRunner().invoke(app, [str(word) for word in words])
    return result.exit_code, result.stdout.splitlines(), result.stderr.splitlines()


def test_a_bucket_is_restored_into_another_folder_of_it(
    store: Store, denoise: list[str | Path], photograph_file: Path, tmp_path: Path
) -> None:
    assert call(*denoise, photograph_file, "-o", tmp_path / "here.png")[0] == 0
    here = (tmp_path / "here.png").read_bytes()
    status, out, err = call(*denoise, f"s3://{BUCKET}/", "-r", "-o", f"s3://{BUCKET}/out/")
    assert status == 0, err
    made = [key for key in KEYS if key.endswith(".png")]
    assert sorted(out) == sorted(f"s3://{BUCKET}/out/{key}" for key in made)
    assert all(store.files[f"out/{key}"] == here for key in made)
    words = [*denoise, f"s3://{BUCKET}/sub/", "-o", f"s3://{BUCKET}/out/sub/"]
    status, out, err = call(*words, "--skip-existing", "--json")
    assert status == 0, err
    assert all('"skipped"' in line for line in out[:-1])
    status, _, err = call(*words)
    assert status == 1
    assert "exists already" in err[0]


@pytest.mark.parametrize("named", ["2.png", "a[1].png", "1*.png", "sub/grün 100%+.png"])
def test_a_picture_goes_to_a_folder_here(
    named: str, store: Store, denoise: list[str | Path], tmp_path: Path
) -> None:
    status, out, err = call(*denoise, f"s3://{BUCKET}/{named}", "-o", f"{tmp_path}/out/")
    assert (status, len(out)) == (0, 1), err
    assert Path(out[0]).name == named.replace("1*", "10").rpartition("/")[2]
    assert Path(out[0]).exists()


def test_a_picture_goes_from_a_folder_here_beside_an_input_and_never_on_one(
    store: Store, denoise: list[str | Path], photograph_file: Path
) -> None:
    assert call(*denoise, photograph_file, "-o", f"s3://{BUCKET}/up/")[0] == 0
    assert "up/photo.png" in store.files
    assert call(*denoise, f"s3://{BUCKET}/2.png")[0] == 0
    assert store.files["2_denoise.png"] == store.files["up/photo.png"]
    status, _, err = call(*denoise, f"s3://{BUCKET}/2.png", "-o", f"s3://{BUCKET}/2.png", "--overwrite")
    assert (status, "never overwritten" in err[0]) == (2, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([f"s3://{BUCKET}/missing.png", "-o", f"s3://{BUCKET}/x/"], "no such file"),
        (["s3://elsewhere/2.png", "-o", f"s3://{BUCKET}/x/"], "s3://elsewhere/2.png: "),
        ([f"s3://{BUCKET}/2.png", "-o", "s3://elsewhere/x/"], "s3://elsewhere/x/2.png: cannot be written"),
    ],
)
def test_what_is_not_there_is_one_line(
    words: list[str], said: str, store: Store, denoise: list[str | Path]
) -> None:
    status, _, err = call(*denoise, *words)
    assert (status, len(err)) == (1, 1), err
    assert said in err[0]
