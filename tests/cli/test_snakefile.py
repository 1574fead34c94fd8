from pathlib import Path


def test_the_path_of_the_snakefile_is_printed(psy):
    path = Path(psy("snakefile").out.strip())
    assert path.is_absolute()
    assert "rule all" in path.read_text()
