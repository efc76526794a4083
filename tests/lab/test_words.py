"""Both languages say everything."""

import re

from minigrad.lab import words


def test_every_text_is_there_in_both_languages():
    pages = (
        words.TWENTY_LAYERS,
        words.ONE_BATCHNORM,
        words.TRAIN_EVAL,
        words.STEP_BY_STEP,
        words.STATIC,
    )
    texts = {(i, name): both for i, page in enumerate(pages) for name, both in page.items()}
    for name, (english, chinese) in texts.items():
        assert english.strip(), name
        assert chinese.strip(), name
        assert re.search("[\u4e00-\u9fff]", chinese), name
        assert not re.search("[\u4e00-\u9fff]", english), name


def test_a_speaker_speaks_one_language():
    say = words.speaker(words.TWENTY_LAYERS, "中文")
    assert say("depth") == "隐藏层数"
