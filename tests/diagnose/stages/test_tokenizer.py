"""Why a tokenizer's promise fails: each cause proved, and none of the tokenizer as it is."""

from types import SimpleNamespace

import pytest
from sentencepiece import sentencepiece_model_pb2 as model_pb2

from parity.checks import tokenizer as check
from parity.diagnose import CAUSES
from parity.diagnose.stages import tokenizer
from parity.inputs.tokenizer import Tokenizer

GIVEN = (["The river \ufb01", "<s> \u65e5\u672c"], [5, 0, 300])


@pytest.fixture
def altered(small):
    """A pair whose tokenizer has another verb, `by(the verb's own, what it is given)`."""

    def plant(verb, by):
        used = Tokenizer(small.data)
        own = getattr(used, verb)
        setattr(used, verb, lambda given: by(own, given))
        return SimpleNamespace(tokenizer=used)

    return plant


def of_another_model(**settings):
    def by(encode, text):
        proto = model_pb2.ModelProto()
        proto.ParseFromString(encode.__self__.data)
        for name, value in settings.items():
            setattr(proto.normalizer_spec, name, value)
        return Tokenizer(proto.SerializeToString()).encode(text)

    return by


def typed(encode, text):
    return [token for part in text.split("<s>") for token in (2, *encode(part))][1:]


def sampled(encode, text):
    return encode.__self__.library.encode(text, enable_sampling=True, alpha=0.3, nbest_size=-1)


FAULTS = {
    "lower case": ("tokenizer", "to lower case", "encode", lambda encode, text: encode(text.lower())),
    "no normalization": ("tokenizer", "does not normalize", "encode", of_another_model(precompiled_charsmap=b"")),
    "no space in front": ("tokenizer", "no space in front", "encode", of_another_model(add_dummy_prefix=False)),
    "spaces kept": ("tokenizer", "repeated", "encode", of_another_model(remove_extra_whitespaces=False)),
    "no bytes": (
        "tokenizer",
        "the unknown id for the bytes",
        "encode",
        lambda encode, text: [1 if 4 <= i < 260 else i for i in encode(text)],
    ),
    "sampled": ("tokenizer", "it samples", "encode", sampled),
    "an end": ("special ids", "adds eos (3) after", "encode", lambda encode, text: [*encode(text), 3]),
    "typed": ("special ids", "reads a typed <s>", "encode", typed),
    "decoded in lower case": ("tokenizer", "file says: ", "decode", lambda decode, ids: decode(ids).lower()),
    "no bytes known": ("tokenizer", "file says: ", "is_byte", lambda *_: False),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_cause_is_proved(fault, altered):
    name, told, verb, by = FAULTS[fault]
    corners = altered(verb, by)
    verdict = next(verdict for verdict in check.verify(corners, GIVEN) if verdict.fails)
    (cause,), ruled = tokenizer.explain(corners, GIVEN, verdict)

    assert (cause.name, cause.where, ruled) == (name, "tokenizer", [])
    assert told in cause.told
    assert name in CAUSES
    assert cause.fix
    assert cause.after == 0 < cause.before


def test_the_tokenizer_as_it_is_has_no_cause(corners):
    causes, (told,) = tokenizer.explain(corners, GIVEN, check.verify(corners, GIVEN)[0])

    assert causes == []
    assert told.endswith(": a tokenizer loaded anew from the same file does the same")
