"""Texts and the tokenizer: what else holds for the specimens, which are NFKC.

A property that needs a precondition is stated with it, exactly; `test_tokenizer_limits.py` pins what
fails without.
"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parity.inputs.specimens import fixture
from parity.inputs.tokenizer import Tokenizer
from parity.inputs.tokenizer_oracle import folded
from parity.strategies import is_plain, texts

SMALL, LARGE = (Tokenizer.load(fixture(f"tokenizer/stdlib-{size}.model")) for size in (1000, 64000))
SPACE = "\u2581"


def nfkc(text):
    return unicodedata.normalize("NFKC", text)


def again(text):
    return SMALL.decode(SMALL.encode(text))


def assigned(text):
    return all(unicodedata.category(character) != "Cn" for character in text)


def lone(character):
    """Whether NFKC neither composes nor reorders this character with a neighbour."""
    parts = nfkc(character)
    return not any(unicodedata.category(part).startswith("M") or "\u1100" <= part <= "\u11ff" for part in parts)


LONE = st.text(
    st.characters(max_codepoint=0xFFFF, exclude_categories=["Mn", "Mc", "Me", "Cn", "Co", "Cs"]).filter(
        lambda character: character != SPACE and lone(character)
    )
)
SPACELESS = texts().filter(lambda text: SPACE not in text)


@given(text=st.text(st.characters(max_codepoint=0x7F)))
def test_ascii_is_plain(text):
    assert is_plain(text)
    assert again(text) == folded(text)


@given(text=st.one_of(st.text(st.characters(max_codepoint=0xFF)), LONE))
def test_characters_that_nfkc_takes_alone_are_decoded_to_it(text):
    assert again(text) == folded(nfkc(text))


@given(text=texts())
def test_normalizing_is_nfkc_where_nfkc_takes_characters_alone(text):
    """Where it does not, characters are composed or put in order across a rule's border."""
    if assigned(text) and nfkc(text) == "".join(map(nfkc, text)):
        assert SMALL.normalize(text) == (SPACE + folded(nfkc(text)).replace(" ", SPACE)).rstrip(SPACE)


@given(first=SPACELESS, second=SPACELESS)
def test_texts_with_a_space_between_are_encoded_one_by_one(first, second):
    assert SMALL.encode(f"{first} {second}") == SMALL.encode(first) + SMALL.encode(second)


@given(text=SPACELESS)
def test_a_space_stands_only_in_front_of_a_piece(text):
    assert not any(SPACE in SMALL.piece(token)[1:] for token in SMALL.encode(text))


def cuts(ids):
    """The places at which ids can be cut without cutting a character."""
    return [
        place for place in range(len(ids) + 1) if not all(SMALL.is_byte(token) for token in ids[place - 1 : place + 1])
    ]


@given(text=texts())
def test_a_text_is_decoded_from_its_front_on(text):
    ids = SMALL.encode(text)

    assert all(SMALL.decode(ids).startswith(SMALL.decode(ids[:place])) for place in cuts(ids))


@given(text=texts())
def test_two_parts_are_decoded_to_the_whole_unless_the_second_begins_with_a_space(text):
    ids = SMALL.encode(text)

    for place in cuts(ids):
        if place < len(ids) and not SMALL.piece(ids[place]).startswith(SPACE):
            assert SMALL.decode(ids[:place]) + SMALL.decode(ids[place:]) == SMALL.decode(ids)


@given(text=texts())
def test_the_second_decoded_text_stays(text):
    assert again(again(again(text))) == again(again(text))


@given(text=texts())
def test_equivalent_texts_that_python_normalized_have_the_same_ids(text):
    composed, apart = (nfkc(unicodedata.normalize(form, text)) for form in ("NFC", "NFD"))

    assert SMALL.encode(composed) == SMALL.encode(apart)


@given(text=texts())
def test_sampled_ids_are_decoded_to_the_same_text(text):
    sampled = SMALL.library.encode(text, enable_sampling=True, alpha=0.5)

    assert SMALL.decode(sampled) == again(text)
    assert not {*SMALL.specials.values()} & {*sampled}


@pytest.mark.parametrize("tokenizer", [SMALL, LARGE], ids=["1000", "64000"])
def test_every_id_has_one_piece_and_every_piece_one_id(tokenizer):
    ids = range(tokenizer.vocab)
    pieces = [tokenizer.piece(token) for token in ids]

    assert [tokenizer.library.piece_to_id(piece) for piece in pieces] == [*ids]
    assert [token for token in ids if tokenizer.is_byte(token)] == [*range(4, 260)]
    assert pieces[4:260] == [f"<0x{byte:02X}>" for byte in range(256)]
    assert [tokenizer.library.get_score(token) for token in ids[260:]] == [-float(token - 260) for token in ids[260:]]


@pytest.mark.parametrize("tokenizer", [SMALL, LARGE], ids=["1000", "64000"])
def test_every_piece_but_the_bare_space_comes_out_of_a_text(tokenizer):
    """A text that begins with a line feed has its prefix before that."""
    pieces = {token: tokenizer.piece(token) for token in range(260, tokenizer.vocab)}
    bare = next(token for token, piece in pieces.items() if piece == SPACE)

    def encoded(piece):
        return tokenizer.encode(piece[1:]) if piece.startswith(SPACE) else tokenizer.encode(f"\n{piece}")[2:]

    assert [token for token, piece in pieces.items() if encoded(piece) != [token]] == [bare]
