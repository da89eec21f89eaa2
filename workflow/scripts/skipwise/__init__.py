"""skipwise: what a skip is worth to a sequential music recommender.

The library behind the Snakemake workflow.  Every module can be used without Snakemake; the scripts
next to this package are thin adapters that read the ``snakemake`` object and call one function.
For notebooks there are :func:`load`, :func:`read`, :func:`evaluate` and :func:`compare`
(library.py).

P1 and P2 in docstrings are Seshadri & Knees (MuRS 2023, arXiv 2309.11623) and Seshadri, Shashaani &
Knees (RecSys 2024, arXiv 2409.07367).
"""

__all__ = ["Model", "UserError", "compare", "evaluate", "load", "read"]


def __getattr__(name: str):
    # Only when one is asked for: a job that needs one module does not import all of them.
    if name in __all__:
        from skipwise import library

        return getattr(library, name)
    raise AttributeError(f"module 'skipwise' has no attribute '{name}'")
