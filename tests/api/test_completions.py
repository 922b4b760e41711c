TEXTS = ["The capital of France is", "Once upon a time", "1 2 3 4"]


def complete(client, prompt, **fields):
    return client.completions.create(model="model", prompt=prompt, **{"temperature": 0, "max_tokens": 8, **fields})


def texts_of(answer):
    assert [choice.index for choice in answer.choices] == list(range(len(answer.choices)))
    return [choice.text for choice in answer.choices]


def test_a_string(client, server):
    answer = complete(client, TEXTS[0])
    assert answer.object == "text_completion" and answer.id.startswith("cmpl-")
    assert answer.usage.completion_tokens <= 8
    if server.is_real:
        assert "Paris" in answer.choices[0].text


def test_a_list_is_each_alone(client):
    alone = [complete(client, text) for text in TEXTS]
    together = complete(client, TEXTS)
    assert texts_of(together) == [answer.choices[0].text for answer in alone]
    assert together.usage.prompt_tokens == sum(answer.usage.prompt_tokens for answer in alone)
    assert together.usage.completion_tokens == sum(answer.usage.completion_tokens for answer in alone)


def test_tokens_and_lists_of_tokens(client):
    prompts = [[5, 6, 7], [8, 9], [5, 6, 7]]
    alone = [complete(client, prompt).choices[0].text for prompt in prompts]
    answer = complete(client, prompts)
    assert texts_of(answer) == alone and alone[0] == alone[2]
    assert answer.usage.prompt_tokens == 8


def test_lists_times_n_with_a_seed(client):
    fields = {"n": 2, "temperature": 1.0, "seed": 21}
    alone = [text for prompt in TEXTS for text in texts_of(complete(client, prompt, **fields))]
    assert texts_of(complete(client, TEXTS, **fields)) == alone


def test_sixteen_tokens_unless_said(client):
    answer = client.completions.create(model="model", prompt=TEXTS[1], temperature=0, extra_body={"ignore_eos": True})
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (16, "length")


def test_a_stream_is_the_whole_answer(client):
    whole = complete(client, TEXTS, n=2, seed=2, temperature=0.9)
    texts, finishes, usage, ids = {}, {}, None, set()
    stream = complete(client, TEXTS, n=2, seed=2, temperature=0.9, stream=True, stream_options={"include_usage": True})
    for chunk in stream:
        ids.add((chunk.id, chunk.created, chunk.object))
        usage = chunk.usage or usage
        for choice in chunk.choices:
            assert choice.index not in finishes
            texts[choice.index] = texts.get(choice.index, "") + choice.text
            if choice.finish_reason:
                finishes[choice.index] = choice.finish_reason
    assert len(ids) == 1
    assert [texts[index] for index in range(6)] == texts_of(whole)
    assert [finishes[index] for index in range(6)] == [choice.finish_reason for choice in whole.choices]
    assert usage.total_tokens == whole.usage.total_tokens


def test_stop(client):
    full = complete(client, TEXTS[1], max_tokens=20).choices[0].text
    answer = complete(client, TEXTS[1], max_tokens=20, stop=full[5:8])
    assert answer.choices[0].text == full[:full.index(full[5:8])]


def test_penalties_turn_the_answer_away_from_what_was_said(client):
    """A word that is asked for again and again: the penalties must change it, and only as far as they are given."""
    prompt, fields = "la la la la la la la la", {"max_tokens": 24, "extra_body": {"ignore_eos": True}}
    plain = complete(client, prompt, **fields).choices[0].text
    neutral = complete(client, prompt, presence_penalty=0, frequency_penalty=0, **fields).choices[0].text
    assert neutral == plain
    for penalties in (
        {"presence_penalty": 2},
        {"frequency_penalty": 2},
        {"extra_body": {"ignore_eos": True, "repetition_penalty": 1.8}},
    ):
        assert complete(client, prompt, **{**fields, **penalties}).choices[0].text != plain, penalties


def test_a_bias_draws_a_token_or_bans_it(client):
    prompt, fields = [5, 6, 7], {"max_tokens": 6, "extra_body": {"ignore_eos": True}}
    drawn = complete(client, prompt, logit_bias={"40": 100}, **fields).choices[0].text
    assert drawn == complete(client, prompt, logit_bias={"40": 100}, seed=3, temperature=1.0, **fields).choices[0].text
    plain = complete(client, prompt, **fields).choices[0].text
    assert drawn != plain
    assert complete(client, prompt, logit_bias={}, **fields).choices[0].text == plain
    other = complete(client, prompt, logit_bias={"41": 100}, **fields)
    assert other.choices[0].text not in (drawn, plain)
