import pytest

from geoops.data import Task


def test_names_become_tuples():
    task = Task(["a"], ["b", "c"], ["d"])
    assert task == Task(("a",), ("b", "c"), ("d",))
    assert Task(**task.to_dict()) == task
    assert hash(task)


@pytest.mark.parametrize(
    ("arguments", "error", "words"),
    [
        ({"inputs": "a", "targets": ["b"]}, TypeError, r"Task.inputs must be a list .* write \['a'\]"),
        ({"inputs": ["a"], "targets": []}, ValueError, "targets is empty"),
        ({"inputs": ["a", "a"], "targets": ["b"]}, ValueError, "twice"),
        ({"inputs": ["a"], "targets": ["a"]}, ValueError, "both inputs and targets"),
    ],
)
def test_bad_tasks_say_what_is_wrong(arguments, error, words, unchecked):
    with pytest.raises(error, match=words):
        Task(**arguments)
