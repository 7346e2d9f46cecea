"""Several answers to one request: Ollama gives one at a time, so the gateway asks as often."""

import pytest

from asks import FRESH, MESSAGES, MODEL, sampling, truth

pytestmark = pytest.mark.gateway


def test_unstreamed_each_is_the_answer_to_its_own_seed(main, direct):
    answer = main.openai().chat.completions.create(model=MODEL, messages=MESSAGES, n=3, **sampling())
    expected = [truth(direct, seed=seed)["message"]["content"] for seed in (7, 8, 9)]
    assert [choice.message.content for choice in answer.choices] == expected
    assert [choice.index for choice in answer.choices] == [0, 1, 2]
    assert answer.usage.completion_tokens == 3 * 24


def test_streamed_each_chunk_says_whose_it_is(main, direct):
    expected = [truth(direct, seed=seed)["message"]["content"] for seed in (7, 8)]
    texts = ["", ""]
    chunks = main.openai().chat.completions.create(
        model=MODEL, messages=MESSAGES, n=2, stream=True, extra_headers=FRESH, **sampling()
    )
    for chunk in chunks:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
    assert texts == expected
