"""Words, stems, and what is told apart by them."""

from __future__ import annotations

import pytest

from cyclerdm_cli.words.tokens import PADDING, UNKNOWN, Vocabulary, stem_of, words_of
from cyclerdm_cli.words.wordings import wordings


@pytest.mark.parametrize(
    "family",
    [
        ("fog", "foggy", "fogs", "fogginess"),
        ("bright", "brighten", "brighter", "brightness"),
        ("noise", "noisy", "noises"),
        ("blur", "blurs", "blurred", "blurring"),
        ("snow", "snowy", "snowing", "snowed"),
    ],
)
def test_forms_of_one_word_share_a_stem(family: tuple[str, ...]) -> None:
    assert len({stem_of(word) for word in family}) == 1


def test_different_damage_keeps_different_stems() -> None:
    words = ("rain", "snow", "noise", "haze", "blur", "dark", "raindrop", "light", "scratch", "drop", "grain")
    assert len({stem_of(word) for word in words}) == len(words)


def test_sentences_are_cut_into_words_of_any_script() -> None:
    assert words_of("Remove the RAIN, and brighten-it!") == ["remove", "the", "rain", "and", "brighten", "it"]
    assert words_of("удали дождь") == ["удали", "дождь"]
    assert words_of("!!!") == []


def test_a_sentence_is_numbers_an_end_and_padding() -> None:
    vocabulary = Vocabulary.of(["remove the rain"])
    numbers = vocabulary.encode("remove the purple rain", 8)
    assert len(numbers) == 8
    assert numbers[2] == UNKNOWN
    assert numbers[4] == vocabulary.end == max(numbers)
    assert numbers[5:] == [PADDING] * 3
    assert len({numbers[0], numbers[1], numbers[3]}) == 3
    assert vocabulary.known(numbers) == 0.75
    long = vocabulary.encode("rain " * 30, 8)
    assert long[-1] == vocabulary.end


def test_slips_of_the_finger_are_corrected_and_other_words_are_not() -> None:
    vocabulary = Vocabulary.of(wordings().every_word())
    assert vocabulary.number_of("brigthen") == vocabulary.number_of("brighten")
    assert vocabulary.number_of("snowflkes") == vocabulary.number_of("snowflakes")
    for word in ("Regen", "entferne", "neige", "brouillard", "niebla", "xyzzy"):
        assert vocabulary.number_of(word.lower()) == UNKNOWN
