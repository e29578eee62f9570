from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from model.data.sequences import Sequence, read_sequences, survey
from model.errors import SequenceError


def make(folder: Path, files: dict[str, str], images: str = "img", names: tuple[str, ...] = ("1.jpg", "2.jpg")) -> Path:
    """A sequence folder: files with images' names (reading decodes none) and text files."""
    (folder / images).mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / images / name).write_bytes(b"an image")
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def test_our_layout_is_zero_indexed_and_nan_is_absent(tmp_path: Path) -> None:
    make(
        tmp_path / "cup",
        {"groundtruth.txt": "10.5,20,30,40\nnan,nan,nan,nan\n1,2,3,4\n"},
        names=("0001.jpg", "0002.png", "0003.webp"),
    )
    (sequence,) = read_sequences(tmp_path)
    assert sequence.name == "cup"
    assert [frame.name for frame in sequence.frames] == ["0001.jpg", "0002.png", "0003.webp"]
    np.testing.assert_array_equal(sequence.truth, [[10.5, 20, 30, 40], [np.nan] * 4, [1, 2, 3, 4]])
    np.testing.assert_array_equal(sequence.present, [True, False, True])


@pytest.mark.parametrize(
    "text",
    [
        "11,21,30,40\n5,5,6,7",
        "11\t21\t30\t40\r\n5\t5\t6\t7\r\n",
        "  11 21  30 40\n5 5 6 7\n\n\n",
        "11, 21, 30, 40\n5, 5, 6, 7",
    ],
    ids=["commas", "tabs and CRLF", "spaces and blank lines at the end", "commas and spaces"],
)
def test_otb_is_one_indexed_with_any_separator(text: str, tmp_path: Path) -> None:
    make(tmp_path / "Deer", {"groundtruth_rect.txt": text})
    (sequence,) = read_sequences(tmp_path)
    assert sequence.name == "Deer"
    np.testing.assert_array_equal(sequence.truth, [[10, 20, 30, 40], [4, 4, 6, 7]])


def test_an_otb_folder_may_have_several_targets(tmp_path: Path) -> None:
    files = {"groundtruth_rect.1.txt": "2,2,3,3\n3,3,3,3", "groundtruth_rect.2.txt": "9,9,4,4\n9,9,4,4"}
    make(tmp_path / "Jogging", files)
    make(tmp_path / "Human4", {"groundtruth_rect.1.txt": "\n", "groundtruth_rect.2.txt": "9,9,4,4\n9,9,4,4"})
    sequences = read_sequences(tmp_path)
    assert [sequence.name for sequence in sequences] == ["Human4-2", "Jogging-1", "Jogging-2"]
    assert sequences[1].truth[0].tolist() == [1, 1, 3, 3]
    assert sequences[1].frames == sequences[2].frames


def test_otb_sequences_known_to_have_more_frames_than_truth(tmp_path: Path) -> None:
    names = tuple(f"{index:04d}.jpg" for index in range(1, 304))
    make(tmp_path / "David", {"groundtruth_rect.txt": "1,1,2,2\n" * 3}, names=names)
    make(tmp_path / "Football1", {"groundtruth_rect.txt": "1,1,2,2\n" * 3}, names=names)
    david, football = read_sequences(tmp_path)
    assert [frame.name for frame in david.frames] == ["0300.jpg", "0301.jpg", "0302.jpg"]
    assert [frame.name for frame in football.frames] == ["0001.jpg", "0002.jpg", "0003.jpg"]


def test_got10k_is_one_indexed_and_labels_absence(tmp_path: Path) -> None:
    names = ("00000001.jpg", "00000002.jpg", "00000003.jpg")
    files = {"groundtruth.txt": "11.0,21.0,30.0,40.0\n" * 3, "absence.label": "0\n1\n0\n", "cover.label": "8\n8\n8\n"}
    make(tmp_path / "GOT-10k_Val_000001", files, images=".", names=names)
    (tmp_path / "list.txt").write_text("GOT-10k_Val_000001\n")
    (sequence,) = read_sequences(tmp_path)
    np.testing.assert_array_equal(sequence.truth, [[10, 20, 30, 40], [np.nan] * 4, [10, 20, 30, 40]])


@pytest.mark.parametrize("absent", ["0,0,0,0", "-1,-1,-1,-1", "5,5,0,7"])
def test_a_box_without_area_marks_absence(absent: str, tmp_path: Path) -> None:
    make(tmp_path / "s", {"groundtruth_rect.txt": f"1,1,2,2\n{absent}\n1,1,2,2"}, names=("1.jpg", "2.jpg", "3.jpg"))
    assert read_sequences(tmp_path)[0].present.tolist() == [True, False, True]


def test_the_folder_may_be_the_sequence_itself(tmp_path: Path) -> None:
    make(tmp_path / "cup", {"groundtruth.txt": "1,2,3,4\n1,2,3,4"})
    assert [sequence.name for sequence in read_sequences(tmp_path / "cup")] == ["cup"]


def test_frames_are_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    names = ("10.jpg", "9.jpg", "1.JPG", "._1.jpg", "Thumbs.db")
    make(tmp_path / "s", {"groundtruth.txt": "1,2,3,4\n" * 3}, names=names)
    assert [frame.name for frame in read_sequences(tmp_path)[0].frames] == ["1.JPG", "9.jpg", "10.jpg"]


def test_sequences_are_in_order_and_other_folders_are_left_out(tmp_path: Path) -> None:
    for name in ("b", "a"):
        make(tmp_path / name, {"groundtruth.txt": "1,2,3,4\n1,2,3,4"})
    (tmp_path / "notes").mkdir()
    assert [sequence.name for sequence in read_sequences(tmp_path)] == ["a", "b"]


def test_the_run_starts_at_the_first_present_frame(tmp_path: Path) -> None:
    text = "nan,nan,nan,nan\n1,2,3,4\nNaN,NaN,NaN,NaN\n1,2,3,4"
    make(tmp_path / "s", {"groundtruth.txt": text}, names=("1.jpg", "2.jpg", "3.jpg", "4.jpg"))
    assert read_sequences(tmp_path)[0].first == 1


GOOD = "1,2,3,4\n1,2,3,4"


@pytest.mark.parametrize(
    ("files", "images", "reason"),
    [
        pytest.param({"groundtruth.txt": "1,2,3,4\n1,2,x,4"}, "img", r"groundtruth\.txt:2: not numbers", id="text"),
        pytest.param({"groundtruth.txt": "1,2,3\n1,2,3,4"}, "img", r"groundtruth\.txt:1: .*got 3", id="three numbers"),
        pytest.param({"groundtruth.txt": "1,2,3,4,5,6,7,8\n" * 2}, "img", r"txt:1: .*got 8", id="a polygon"),
        pytest.param({"groundtruth.txt": "1,2,3,4\n\n1,2,3,4"}, "img", r"txt:2: not numbers: ''", id="a line is blank"),
        pytest.param({"groundtruth.txt": "1,2,nan,4\n1,2,3,4"}, "img", r"txt:1: four finite", id="one nan"),
        pytest.param({"groundtruth.txt": "1,2,inf,4\n1,2,3,4"}, "img", r"txt:1: four finite", id="infinite"),
        pytest.param({"groundtruth.txt": "1,2,3,4"}, "img", r"txt: 1 boxes for 2 frames", id="too few boxes"),
        pytest.param({"groundtruth_rect.txt": GOOD + "\n1,2,3,4"}, "img", r"txt: 3 boxes for 2", id="too many boxes"),
        pytest.param({"groundtruth.txt": "\n"}, "img", r"groundtruth\.txt: no boxes", id="empty"),
        pytest.param({"groundtruth_rect.txt": ""}, "img", r"rect\.txt: no boxes", id="empty, OTB"),
        pytest.param({"groundtruth.txt": "nan,nan,nan,nan\n1,2,3,4"}, "img", "at least two", id="nothing to score"),
        pytest.param({"groundtruth.txt": GOOD}, "frames", r"2 boxes for 0 frames", id="images elsewhere"),
        pytest.param({"groundtruth_rect.txt": GOOD}, "frames", r"img: no such folder", id="images elsewhere, OTB"),
        pytest.param({"groundtruth.txt": GOOD, "absence.label": "0\n2"}, ".", r"label:2: 0 or 1", id="a label of 2"),
        pytest.param({"groundtruth.txt": GOOD, "absence.label": "0"}, ".", "1 labels for 2", id="too few labels"),
        pytest.param({"readme.txt": GOOD}, "img", "no sequences", id="no truth"),
    ],
)
def test_refusals_name_file_and_line(files: dict[str, str], images: str, reason: str, tmp_path: Path) -> None:
    make(tmp_path / "s", files, images)
    with pytest.raises(SequenceError, match=reason) as caught:
        read_sequences(tmp_path)
    assert "s" in str(caught.value)


def test_binary_truth_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "s", {})
    (tmp_path / "s" / "groundtruth.txt").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(SequenceError, match="cannot be read"):
        read_sequences(tmp_path)


def test_an_empty_folder_and_a_missing_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SequenceError, match="no sequences"):
        read_sequences(tmp_path)
    with pytest.raises(SequenceError, match="no such folder"):
        read_sequences(tmp_path / "none")


def test_two_sequences_of_one_name_are_refused(tmp_path: Path) -> None:
    make(tmp_path / "Jogging", {"groundtruth_rect.1.txt": GOOD})
    make(tmp_path / "Jogging-1", {"groundtruth.txt": GOOD})
    with pytest.raises(SequenceError, match="two sequences are called Jogging-1"):
        read_sequences(tmp_path)


def test_truth_cannot_be_changed(tmp_path: Path) -> None:
    make(tmp_path / "s", {"groundtruth.txt": GOOD})
    with pytest.raises(ValueError, match="read-only"):
        read_sequences(tmp_path)[0].truth[0, 0] = 5


def test_a_sequence_checks_its_parts() -> None:
    with pytest.raises(SequenceError, match=r"s: truth of shape \(3, 4\) for 1 frames"):
        Sequence("s", (Path("1.jpg"),), np.ones((3, 4)))


def test_got10ks_test_set_states_the_first_box_alone(tmp_path: Path) -> None:
    names = ("00000001.jpg", "00000002.jpg", "00000003.jpg")
    make(tmp_path / "GOT-10k_Test_000001", {"groundtruth.txt": "11,21,30,40\n"}, images=".", names=names)
    (sequence,) = read_sequences(tmp_path, unscored=True)
    np.testing.assert_array_equal(sequence.truth, [[10, 20, 30, 40], [np.nan] * 4, [np.nan] * 4])
    assert not sequence.scorable
    with pytest.raises(SequenceError, match="1 boxes for 3 frames"):
        read_sequences(tmp_path)


def test_a_sequence_shows_its_target_at_least_once() -> None:
    with pytest.raises(SequenceError, match="s: the target is present in no frame"):
        Sequence("s", (Path("1.jpg"),), np.full((1, 4), np.nan))


def test_a_survey_tells_the_faulty_from_those_that_show_nothing(tmp_path: Path) -> None:
    make(tmp_path / "good", {"groundtruth.txt": GOOD})
    make(tmp_path / "absent", {"groundtruth.txt": "nan,nan,nan,nan\n" * 2})
    make(tmp_path / "short", {"groundtruth.txt": "1,2,3,4"}, names=("1.jpg",))
    make(tmp_path / "odd", {"groundtruth.txt": "1,2,3,x\n1,2,3,4"})
    make(tmp_path / "hollow", {"groundtruth.txt": GOOD})
    (tmp_path / "hollow" / "img" / "2.jpg").write_bytes(b"")
    found = survey(tmp_path)
    assert [sequence.name for sequence in found.sequences] == ["good"]
    assert found.sequences[0].truth_files == (tmp_path / "good" / "groundtruth.txt",)
    assert list(found.absent) == ["absent", "short"]
    assert list(found.faulty) == ["hollow", "odd"]
    assert found.faulty["hollow"].endswith("2.jpg: the image file is empty (0 bytes)")
    assert [each.name for each in survey(tmp_path, unscored=True).sequences] == ["good", "short"]


def test_lasots_folders_of_classes(tmp_path: Path) -> None:
    for name in ("cat/cat-1", "cat/cat-20", "dog/dog-3"):
        make(tmp_path / name, {"groundtruth.txt": GOOD})
    assert [each.name for each in read_sequences(tmp_path)] == ["cat-1", "cat-20", "dog-3"]
    assert [each.name for each in read_sequences(tmp_path / "cat")] == ["cat-1", "cat-20"]


def test_got10ks_root_holds_splits(tmp_path: Path) -> None:
    for split in ("train", "val"):
        make(tmp_path / split / "GOT-10k_000001", {"groundtruth.txt": GOOD}, images=".")
    with pytest.raises(SequenceError, match=r"holds splits; give one of .*train, .*val$"):
        read_sequences(tmp_path)
    assert len(read_sequences(tmp_path / "val")) == 1


def test_vots_folders_are_refused_in_words(tmp_path: Path) -> None:
    make(tmp_path / "ball1", {"groundtruth.txt": "1,2,3,4,5,6,7,8\n" * 2}, images="color")
    with pytest.raises(SequenceError, match=r"ball1: frames in color/ are VOT's layout, which is not read"):
        read_sequences(tmp_path)


def test_hidden_folders_hold_no_sequences(tmp_path: Path) -> None:
    make(tmp_path / "good", {"groundtruth.txt": GOOD})
    make(tmp_path / ".trash", {"groundtruth.txt": "1,2"})
    assert [each.name for each in read_sequences(tmp_path)] == ["good"]
