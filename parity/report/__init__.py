"""What was found, as terminal text, JSON and HTML. Nothing here decides anything.

`document` is the JSON, which everything else is made from: `terminal` prints it, `html` fills `templates/` with it, and
`charts`, `plots` and `pictures` draw it. The other modules do the same for what is no check: links, locate
(`layer_tree`), gate, selftest, comparison, relations, sweep; `github` writes annotations, `plain` lines of text.

A section is added in `document` (its key, and in `schema.json`), in `terminal` and in a template.

Numbers and words are those of the results; what is worked out here is how they look: places on an axis, digits,
colours. A key of a document stays once it is there, since baselines and other people's scripts hold them. One that came
later is left out where it has nothing to say, so that documents of before and after are equal.
"""
