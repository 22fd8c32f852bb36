"""`layers.py` calls install when it is imported, so it is left to `test_install.py`."""

collect_ignore = ["layers.py"]
