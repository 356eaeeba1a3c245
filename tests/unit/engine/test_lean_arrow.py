"""Arrow and NumPy without what takes long to load, in processes that are a run's alone."""

import subprocess
import sys
import textwrap


def said(code: str) -> str:
    """Return what a new process prints that loads Arrow so and then does as it is told."""
    lean = "from kalla_core.engine.processes.lean_arrow import pyarrow\n"
    whole = lean + textwrap.dedent(code)
    done = subprocess.run(
        [sys.executable, "-c", whole], capture_output=True, text=True, timeout=60, check=True
    )
    return done.stdout.strip()


def test_kernels_compute_and_tell_of_their_arguments() -> None:
    code = """
        import inspect, numpy
        import pyarrow.compute as pc
        values = pyarrow.array(numpy.array([1, 2]), mask=numpy.array([True, False]))
        named = [*inspect.signature(pc.add).parameters]
        print(pc.fill_null(values, 7).to_pylist(), pc.add(1, 2), named)
    """

    assert said(code) == "[7, 2] 3 ['args', 'memory_pool']"


def test_masked_arrays_linear_algebra_and_types_are_numpys_own_where_one_asks_for_them() -> None:
    code = """
        import numpy, numpy.typing
        few = "numpy._typing" in __import__("sys").modules
        import numpy.ma
        masked = pyarrow.array(numpy.ma.masked_array([1, 2], mask=[True, False]))
        named = numpy.typing.ArrayLike is not None
        print(few, masked.to_pylist(), numpy.linalg.det(numpy.eye(2)), named)
    """

    assert said(code) == "False [None, 2] 1.0 True"


def test_secrets_are_compared_in_a_process_that_loaded_pydantic_in_a_hurry() -> None:
    code = """
        from kalla_core.cli.ahead import load_pydantic
        load_pydantic()
        from pydantic import SecretStr, TypeAdapter
        from zoneinfo import ZoneInfo
        adapter = TypeAdapter(SecretStr)
        print(adapter.validate_python("a") == SecretStr("a"), ZoneInfo("UTC"))
    """

    assert said(code) == "True UTC"


def test_functions_of_numpy_that_look_for_masks_or_solve_equations_do_so() -> None:
    code = """
        import numpy as np
        few = np.array([3, 1, 1])
        print(
            np.unique(few).tolist(), np.median(few), np.percentile(few, 50), np.union1d(few, [2]),
            np.round(np.polyfit([0, 1], [1, 3], 1)), np.roots([1, -3, 2]),
            (np.matrix([[1, 1], [0, 1]]) ** 4).tolist(), np.ma.masked_array([1, 2], [0, 1]).sum(),
        )
    """

    assert said(code) == "[1, 3] 1.0 1.0 [1 2 3] [2. 1.] [2. 1.] [[1, 4], [0, 1]] 1"
