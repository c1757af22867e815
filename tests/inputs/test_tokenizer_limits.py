"""What a tokenizer does not promise, by its smallest example. One that comes to hold is a change of the tokenizer."""

import unicodedata

import pytest

CHANGED = {" ": "", "a  b": "a b", "\ufb01": "fi", "\u00a0a": "a", "\u2581": "", "a\u2581b": "a b", "\u2581a": "a"}


@pytest.mark.parametrize("text", CHANGED, ids=ascii)
def test_text_that_is_not_plain_is_changed(text, small):
    assert small.decode(small.encode(text)) == CHANGED[text] != text


# Marks are not put in order, and what the rules take apart or leave is not composed again. That a
# vowel and a final consonant are not composed needs 5,160 random texts to be found.
UNCOMPOSED = {
    "\uac00\u11a8": "\uac00\u11a8",
    "\u0300\u0316": "\u0300\u0316",
    "\u0300\u302a": "\u0300\u302a",
    "\ufb01\u0300": "fi\u0300",
    "A\u0344": "A\u0308\u0301",
    "\u00c5\u0301": "\u00c5\u0301",
    "\u00e2\u0300": "\u00e2\u0300",
    "\ua7f1": "S",  # of a newer Unicode than Python 3.11 knows
}


@pytest.mark.parametrize("text", UNCOMPOSED, ids=ascii)
def test_normalizing_is_not_quite_nfkc(text, small):
    assert small.decode(small.encode(text)) == UNCOMPOSED[text] != unicodedata.normalize("NFKC", text)


def test_what_is_composed(small):
    assert small.decode(small.encode("\u1100\u1161\u11a8")) == "\uac01"


@pytest.mark.parametrize("text", ["\ufb01\u0300", "A\u0344", "0\u2581\u25810"], ids=ascii)
def test_ids_of_decoded_text_are_others(text, small):
    first = small.encode(text)

    assert small.encode(small.decode(first)) != first


def test_normalizing_twice_is_not_normalizing_once(small):
    assert small.normalize(small.normalize("0")) == "\u2581\u25810"


def test_equivalent_texts_have_other_ids(small):
    composed, apart = (unicodedata.normalize(form, "\u00d9\u0316") for form in ("NFC", "NFD"))

    assert small.encode(composed) != small.encode(apart)


def test_a_special_id_cuts_a_character_in_two(small):
    first, second = (small.library.piece_to_id(f"<0x{byte:02X}>") for byte in "\x80".encode())

    assert small.decode([first, second]) == "\x80"
    assert small.decode([first, small.pad, second]) == "\ufffd\ufffd"
    assert small.decode([first]) == "\ufffd"


def test_a_space_is_dropped_only_in_front(small):
    unknown, (word,) = small.specials["unk"], small.encode("a")

    assert small.decode([unknown]) == " \u2047 "
    assert small.decode([word]) == "a"
    assert small.decode([unknown, word]) == " \u2047  a"


@pytest.mark.parametrize("ids", [["pad"], ["unk"], ["bos", "eos"]])
def test_special_ids_are_not_encoded_back(ids, small):
    given = [small.specials[name] for name in ids]

    assert small.encode(small.decode(given)) != given


@pytest.mark.parametrize("text", ["0 ", " ", "0\xa0"], ids=ascii)
def test_offsets_leave_trimmed_spaces_out(text, small):
    offsets = small.library.encode(text, out_type="offset_mapping")["offsets"]

    assert max((end for _, end in offsets), default=0) < len(text)


def test_a_line_feed_does_not_part_two_texts(small):
    (feed,) = small.encode("\n")[1:]

    assert small.encode("a\na") != [*small.encode("a"), feed, *small.encode("a")]


def test_bad_utf8_is_not_read_as_python_reads_it(small):
    """One U+FFFD a byte, where Python has one for a character that is cut short."""
    raw = b"\xe0\xa0"

    assert small.library.encode(raw) == small.encode("\ufffd\ufffd") != small.encode(raw.decode(errors="replace"))
