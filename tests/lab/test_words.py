"""Both languages say everything."""

import re

from minigrad.lab import words


def test_every_text_is_there_in_both_languages():
    texts = {**words.TWENTY_LAYERS, **words.ONE_BATCHNORM}
    for name, (english, chinese) in texts.items():
        assert english.strip(), name
        assert chinese.strip(), name
        assert re.search("[\u4e00-\u9fff]", chinese), name
        assert not re.search("[\u4e00-\u9fff]", english), name


def test_a_speaker_speaks_one_language():
    say = words.speaker(words.TWENTY_LAYERS, "中文")
    assert say("depth") == "隐藏层数"
