"""A configuration that is written is read again as it was."""

import pytest

from recsys.training.config import load_config, named_configurations
from recsys.training.config_text import config_text


@pytest.mark.parametrize("name", named_configurations())
def test_what_is_written_is_read_again(tmp_path, name):
    config = load_config(name, ["head.reads=['activity', 'times']", "generator.learning_rate=3e-7"])
    text = config_text(config, ["made by hand", 'with "quotes"'])
    (tmp_path / "written.toml").write_text(text)
    assert load_config(str(tmp_path / "written.toml")) == config
    assert text.startswith('# made by hand\n# with "quotes"\n')
