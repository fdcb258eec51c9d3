"""A long build shows how far it is, and why it failed."""

from __future__ import annotations

from neurobatch.follow import Progress, last_words


def test_milestones_are_shown_with_the_time() -> None:
    log = "== pulling x\nnoise\nStep 3/40 : RUN make\n#7 [ 3/40] RUN make\n#8 0.1 more noise\n"
    assert Progress().lines(log, 65) == ["1:05 == pulling x", "1:05 Step 3/40 : RUN make", "1:05 #7 [ 3/40] RUN make"]


def test_a_line_that_comes_in_two_pieces_is_shown_once_and_whole() -> None:
    progress = Progress()
    assert progress.lines("== bui", 1) == []
    assert progress.lines("lding\n", 2) == ["0:02 == building"]
    assert progress.lines("", 3) == []


def test_silence_is_broken_by_the_newest_line_every_half_minute() -> None:
    progress = Progress()
    assert progress.lines("Collecting a\nCollecting b\n", 29) == []
    assert progress.lines("", 30) == ["0:30 … Collecting b"]
    assert progress.lines("Collecting c\n", 59) == []
    assert progress.lines("", 60) == ["1:00 … Collecting c"]


def test_a_milestone_restarts_the_half_minute() -> None:
    progress = Progress()
    progress.lines("== one\n", 29)
    assert progress.lines("noise\n", 58) == []
    assert progress.lines("", 59) == ["0:59 … noise"]


def test_nothing_is_invented_while_nothing_was_said() -> None:
    assert Progress().lines("", 300) == []


def test_long_lines_are_cut() -> None:
    (line,) = Progress().lines(f"== {'x' * 300}\n", 0)
    assert len(line) == len("0:00 ") + 110
    assert line.endswith("…")


def test_last_words_are_the_last_lines_that_say_something() -> None:
    assert last_words("a\n\nb\n  c  \n\n", count=2) == "b\nc"


def test_a_refusal_is_quoted_alone() -> None:
    assert last_words("x\nREFUSED: first\ny\nREFUSED: the image holds no Elyra\nz\n") == "the image holds no Elyra"


def test_what_a_refusal_rests_on_is_quoted_with_it() -> None:
    said = "== start\nREFUSED: it is not ready. The pod x:\n    FATAL\n  and y\nafter it\n"
    assert last_words(said) == "it is not ready. The pod x:\n    FATAL\n  and y"
