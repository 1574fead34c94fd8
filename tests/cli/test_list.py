def test_names_of_tasks_are_printed_in_order(psy, write_task):
    write_task("square")
    write_task("circle")
    assert psy("list").out == "circle\nsquare\n"


def test_task_files_are_not_run(psy, write_task):
    write_task("broken", "raise ValueError")
    assert psy("list").out == "broken\n"


def test_a_folder_without_tasks_has_no_names(psy):
    assert psy("list").out == ""


def test_another_folder_can_be_given(psy, project):
    (project / "more").mkdir()
    (project / "more" / "task_cube.py").touch()
    assert psy("list", "--taskdir", "more").out == "cube\n"


def test_a_missing_folder_is_named(psy):
    result = psy("list", "--taskdir", "nowhere")
    assert result.status == 2
    assert "nowhere" in result.err
    assert result.err.count("\n") == 1
