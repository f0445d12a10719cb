"""How a task is told the number of its threads: in its environment, before any library of its own is loaded."""

VARIABLES = (
    "BLIS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "OPENCV_FOR_THREADS_NUM",
    "POLARS_MAX_THREADS",
    "RAYON_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "VIPS_CONCURRENCY",
)
"""Read by libraries that make threads of their own. ONNX Runtime and OpenVINO read none: they take their options."""


def thread_variables(threads: int) -> dict[str, str]:
    """The variables for so many threads."""
    return dict.fromkeys(VARIABLES, str(threads))
