"""skipwise: what a skip is worth to a sequential music recommender.

The library behind the Snakemake workflow.  Every module can be used without Snakemake; the scripts
next to this package are thin adapters that read the ``snakemake`` object and call one function.

P1 and P2 in docstrings are Seshadri & Knees (MuRS 2023, arXiv 2309.11623) and Seshadri, Shashaani &
Knees (RecSys 2024, arXiv 2409.07367).
"""
